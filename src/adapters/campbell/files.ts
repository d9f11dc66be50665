import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { digestOf } from '#kit/digest.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Confirmation, OpenOperation, OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, OperationsAnswer, PinnedItem } from '#ports/family.ts';
import type { CampbellOptions } from './options.ts';
import { answersOf, type Answers } from './readings.ts';
import { encodeCommand, fileNameProblem } from './wire-commands.ts';

/** The files that must lie on CPU:, by name; with `exact` no others but those that are protected. */
export interface FilesFacts {
  readonly exact: boolean;
  readonly files: Readonly<Record<string, string>>;
}

/** What an operation on files carries for the driver. */
export interface FilesOrder {
  readonly kind: 'files';
  readonly delete: readonly string[];
  readonly lostAfterMs: number;
}

/** So many names in one operation: each is a command that waits for its answer within one perform. */
const MOST_DELETED = 8;
const DEADLINE_MS = 10 * MINUTE_MS;
const STANDS_AFTER_MS = 30 * SECOND_MS;

/** Files without which a logger may not come back: what runs when the program does not (§9.4), certificates, keys. */
const PROTECTED = /^(default\.[^.]+|powerup\.ini|.*\.(pem|key|crt|cer|der|p12))$/i;

export function expectedFiles(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const facts = factsOf(pin);
  if (facts === null)
    return err({ code: 'CONTENT_MISSING', summary: 'files are pinned by name', fix: 'write { exact: true, file: PATH }' });
  for (const name of Object.keys(facts.files)) {
    const problem = fileNameProblem(name) ?? packetProblem(device, name);
    if (problem !== null) return err({ code: 'FILE_NAME', summary: problem, fix: 'give the file another name' });
  }
  const names = Object.keys(facts.files);
  const version = facts.exact ? `exactly ${names.length === 0 ? 'the program' : names.join(', ')}` : names.join(', ');
  return ok({
    value: filesText(facts),
    version: pin.artifact?.version ?? version,
    facts: { exact: facts.exact, files: facts.files },
    content: pin.content,
  });
}

function packetProblem({ address }: DeviceFacts, fileName: string): string | null {
  const place = { baseTopic: 'x'.repeat(128), address: address ?? '', dialect: 'v2', tranId: '0'.repeat(39) } as const;
  const encoded = encodeCommand({ kind: 'deleteFile', fileName }, place);
  return encoded.ok ? null : encoded.error.text;
}

function factsOf(pin: PinnedItem): FilesFacts | null {
  if (pin.content !== null) return { exact: false, files: { [pin.content.name]: pin.content.digest } };
  const { document } = pin;
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return null;
  const { files } = document as Readonly<Record<string, Json | undefined>>;
  if (!Array.isArray(files)) return null;
  const named = files.flatMap((file): [string, string][] => {
    const { name, digest } = file as Readonly<Record<string, unknown>>;
    return typeof name === 'string' && typeof digest === 'string' ? [[name, digest]] : [];
  });
  return { exact: true, files: Object.fromEntries(named) };
}

export function filesFacts(facts: Json): FilesFacts | null {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { exact, files } = facts as Readonly<Record<string, Json | undefined>>;
  if (typeof exact !== 'boolean' || typeof files !== 'object' || files === null || Array.isArray(files)) return null;
  const named = Object.entries(files).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { exact, files: Object.fromEntries(named) };
}

function filesText({ exact, files }: FilesFacts): string {
  const names = Object.keys(files).toSorted(compareText);
  return `${exact ? 'exactly' : 'with'} ${names.length === 0 ? 'no more than needed' : names.map((name) => `${name} ${files[name]?.slice(0, 8) ?? ''}`).join(', ')}`;
}

/** What a listing says against what is declared. */
interface FilesDifference {
  readonly missing: readonly string[];
  /** Names whose SHA-256, where the logger told it, is another. */
  readonly other: readonly string[];
  readonly surplus: readonly string[];
}

interface Seen {
  readonly names: readonly string[];
  readonly sums: Readonly<Record<string, string>>;
  /** Names in lower case that stay whatever is declared: the running program, the Include File. */
  readonly kept: readonly string[];
}

function differenceOf(wanted: FilesFacts, { names, sums, kept }: Seen): FilesDifference {
  const declared = Object.keys(wanted.files);
  return {
    missing: declared.filter((name) => !names.includes(name)),
    other: declared.filter((name) => names.includes(name) && sums[name] !== undefined && sums[name] !== wanted.files[name]),
    surplus: wanted.exact
      ? names
          .filter((name) => wanted.files[name] === undefined && !PROTECTED.test(name) && !kept.includes(name.toLowerCase()))
          .toSorted(compareText)
      : [],
  };
}

/** The item as it is reported. A list that may have been cut says nothing of what it lacks: unknown, never absent. */
export function filesItem(
  declared: DeclaredItem,
  device: { readonly report: ReportedDevice; readonly items: readonly DeclaredItem[] },
): ReportedItem {
  const source = 'fileControl list';
  const answers = answersOf(device.report);
  const unknown = (why: 'NEVER_REPORTED' | 'REPORT_UNREADABLE', detail: string): ReportedItem => ({ kind: 'unknown', why, detail, source });
  const wanted = filesFacts(declared.facts);
  const { files } = answers;
  if (files === null || wanted === null)
    return unknown('NEVER_REPORTED', 'CPU: was not listed yet: an apply asks the logger while it is online');
  const missingNames = Object.keys(wanted.files).filter((name) => !files.names.includes(name));
  if (!files.complete && (wanted.exact || missingNames.length > 0)) {
    const detail = `the list of CPU: was cut at ${files.names.length} names, as loggers do: what it lacks may be there`;
    return unknown('REPORT_UNREADABLE', detail);
  }
  const program = device.report.items.program;
  if (wanted.exact && program?.kind !== 'value')
    return unknown('NEVER_REPORTED', 'which program runs is not known: its file must not be deleted');
  const kept = keptNames(device, answers);
  const sums = Object.fromEntries(
    Object.entries(answers.checksums).flatMap(([name, { sha256 }]) => (sha256 === null ? [] : [[name, sha256] as const])),
  );
  const seen: Seen = { names: files.names, sums, kept };
  const facts: Json = { names: [...seen.names], sums: { ...seen.sums }, kept: [...kept] };
  return { kind: 'value', value: reportedText(wanted, seen), facts, madeNotBefore: files.at, source };
}

function keptNames(
  device: { readonly report: ReportedDevice; readonly items: readonly DeclaredItem[] },
  answers: Answers,
): readonly string[] {
  const program = device.report.items.program;
  const declared = device.items.find((item) => item.item === 'program');
  return [program?.kind === 'value' ? program.value : '', declared?.value ?? '', answers.settings['IncludeFile']?.value ?? '']
    .map((text) => text.slice(text.indexOf(':') + 1).replace(/ \([a-z ]+\)$/, ''))
    .filter((name) => name !== '' && name !== 'none')
    .map((name) => name.toLowerCase());
}

function reportedText(wanted: FilesFacts, seen: Seen): string {
  const { missing, other, surplus } = differenceOf(wanted, seen);
  const said = [
    ...(missing.length > 0 ? [`without ${few(missing)}`] : []),
    ...(other.length > 0 ? [`other bytes in ${few(other)}`] : []),
    ...(surplus.length > 0 ? [`also ${few(surplus)}`] : []),
  ];
  return said.length === 0 ? filesText(wanted) : `${said.join('; ')} #${digestOf([missing, other, surplus]).slice(0, 8)}`;
}

/** What really lies on CPU:, by name and SHA-256, in the words of what is declared; for simulators and their tests. */
export function filesTruth(facts: Json, has: { readonly files: Readonly<Record<string, string>>; readonly running: string }): string {
  const wanted = filesFacts(facts);
  return wanted === null ? '' : reportedText(wanted, { names: Object.keys(has.files), sums: {}, kept: [has.running.toLowerCase()] });
}

function few(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

function seenIn(item: ReportedItem | undefined): Seen | null {
  if (item?.kind !== 'value' || typeof item.facts !== 'object' || item.facts === null || Array.isArray(item.facts)) return null;
  const { names, sums, kept } = item.facts as Readonly<Record<string, Json | undefined>>;
  if (!Array.isArray(names) || !Array.isArray(kept) || typeof sums !== 'object' || sums === null) return null;
  return { names: names as readonly string[], kept: kept as readonly string[], sums: sums as Readonly<Record<string, string>> };
}

export function filesAgree(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean {
  const [wanted, seen] = [filesFacts(declared.facts), seenIn(reported)];
  if (wanted === null || seen === null) return false;
  const { missing, other, surplus } = differenceOf(wanted, seen);
  return missing.length + other.length + surplus.length === 0;
}

/**
 * Files that are not declared are deleted; a declared one that is not there cannot be brought: the command `program` alone
 * brings a file, and runs it (docs/protocols/campbell-mqtt.md §5.2, §5.5).
 */
export function filesOperations(request: {
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
  readonly options: CampbellOptions;
}): OperationsAnswer {
  const { declared, reported, options } = request;
  const item = reported.items.files;
  const [wanted, seen] = [filesFacts(declared.facts), seenIn(item)];
  const refuse = (reason: Impossible['reason'], evidence: string): OperationsAnswer => ({
    drafts: [],
    impossible: [{ item: 'files', reason, evidence }],
  });
  if (wanted === null || seen === null || item?.kind !== 'value') return refuse('NEVER_REPORTED', 'CPU: was not listed yet');
  const { missing, other, surplus } = differenceOf(wanted, seen);
  const absent = [...missing.map((name) => `${name} is not on CPU:`), ...other.map((name) => `${name} on CPU: has other bytes`)];
  const impossible: Impossible[] = absent.slice(0, 1).map((what) => ({
    item: 'files',
    reason: 'UNSUPPORTED',
    evidence: `${what}, and over MQTT only a program can be sent, which then runs; bring it with the vendor's software`,
  }));
  if (surplus.length === 0) return { drafts: [], impossible };
  const gone = surplus.slice(0, MOST_DELETED);
  const facts: FilesOrder = { kind: 'files', delete: gone, lostAfterMs: options.programDeadlineMs + options.stateIntervalMs };
  const draft: OperationDraft = {
    item: 'files',
    step: 'delete',
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected: item.value,
    facts: { ...facts },
    content: null,
    deadlineMs: DEADLINE_MS + options.statusIntervalMs,
    effects: [`deletes ${few(gone)} from CPU:`],
    disturbs: false,
  };
  return { drafts: [draft], impossible };
}

export function filesOrder(facts: Json): FilesOrder | null {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { kind, lostAfterMs, ...rest } = facts as Readonly<Record<string, Json | undefined>>;
  const names = rest['delete'];
  if (kind !== 'files' || !Array.isArray(names) || typeof lostAfterMs !== 'number') return null;
  return { kind, delete: names.filter((name): name is string => typeof name === 'string'), lostAfterMs };
}

/** "File deleted" proves nothing; a later list without the names does. */
export function confirmFiles(open: OpenOperation, reported: ReportedDevice, order: FilesOrder): Confirmation {
  const reference = open.reference ?? open.intendedAt;
  const item = reported.items.files;
  const seen = item?.kind === 'value' && item.madeNotBefore !== null && item.madeNotBefore > reference ? seenIn(item) : null;
  const waiting = {
    kind: 'open',
    phase: open.reference === null ? 'IN_FLIGHT' : 'VERIFYING',
    takenAt: open.takenAt ?? open.reference,
  } as const;
  if (seen === null || item?.kind !== 'value' || item.madeNotBefore === null) {
    return { ...waiting, oldValueSeenAt: null, evidence: 'sent; CPU: was not listed since' };
  }
  const left = order.delete.filter((name) => seen.names.includes(name));
  if (left.length === 0) return { kind: 'confirmed', evidence: `${few(order.delete)} is no longer on CPU:` };
  const evidence = `${few(left)} is still on CPU:`;
  if (open.reference !== null && item.madeNotBefore - reference >= STANDS_AFTER_MS) return { kind: 'failed', code: 'FILE_STAYS', evidence };
  return { ...waiting, oldValueSeenAt: item.value === open.operation.expected ? item.madeNotBefore : null, evidence };
}
