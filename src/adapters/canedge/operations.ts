import type { Json } from '#kit/canonical.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { Content, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { connectSummary, type ConnectSummary } from './connect.ts';
import { deadlineMs } from './deadline.ts';
import { sameVersion } from './expectation.ts';
import {
  readConfigFacts,
  readDeclaredConfig,
  readDeclaredFirmware,
  readFirmwareFacts,
  readOptions,
  type ConfigFacts,
  type DeclaredConfigFacts,
  type DeclaredFirmwareFacts,
  type FirmwareFacts,
} from './facts.ts';
import { changeGuards, sealedSecretGuards, standing, touchesLink, withoutFlawsOf, type Guard, type GuardCode } from './guards.ts';
import { parseFirmwareImage } from './image.ts';
import { objectOf, parseJson, textAt } from './json.ts';
import { readMemo } from './memo.ts';
import { modelByName } from './models.ts';
import { compileRuleSchema } from './schema.ts';
import {
  isTls,
  linkChangeOf,
  linkRefusal,
  NOTHING,
  trustOperations,
  trustSituation,
  type LinkChange,
  type TrustAnswer,
  type TrustSituation,
} from './trust-operations.ts';
import { compareSeries, compareVersions } from './versions.ts';

/** From drift to operations: docs/protocols/canedge-s3.md §5, §6, §12. */

/** Everything the rules look at, read once. */
interface Situation {
  readonly device: DeclaredDevice;
  readonly reported: ReportedDevice;
  readonly runs: { readonly firmware: FirmwareFacts; readonly config: ConfigFacts };
  readonly wants: {
    readonly firmware: (DeclaredFirmwareFacts & { readonly item: DeclaredItem }) | null;
    readonly config: (DeclaredConfigFacts & { readonly item: DeclaredItem }) | null;
  };
  readonly drifted: { readonly firmware: boolean; readonly config: boolean };
  /** Why a config that is declared cannot be made here (its secrets are sealed, the device's key is not known). */
  readonly configHeld: string | null;
  /** Certificates, where they are declared and reported, and their own steps. */
  readonly trust: TrustSituation | null;
  readonly trustSteps: TrustAnswer;
}

/**
 * The steps that close the drift, in the order of §12.4: the config of the series, then the firmware, then the clean-up;
 * the engine keeps only the first live, so one change is in flight at a time. Pure.
 */
export function operationsFor(request: OperationsRequest): OperationsAnswer {
  const situation = situationOf(request);
  if (situation === null) return { drafts: [], impossible: [] };
  const deaf = deafness(situation);
  if (deaf !== null) return { drafts: [], impossible: [deaf] };
  const { first, last, impossible, waits } = situation.trustSteps;
  const all = join({ drafts: first, impossible: [] }, itemSteps(situation), { drafts: last, impossible });
  const steps = all.drafts.length > 0 || waits === null ? all : join(all, { drafts: [], impossible: [waits] });
  const { home } = readMemo(request.reported);
  if (home === null || home === request.device.via.connection) return steps;
  return { ...steps, drafts: steps.drafts.map((draft) => atPlace(draft, home)) };
}

/** A device is told everything where it is heard, apart from what is laid ready where it is to go. */
function atPlace(draft: OperationDraft, home: string): OperationDraft {
  const facts = objectOf(draft.facts) ?? {};
  return textAt(facts, 'at') === undefined ? { ...draft, facts: { ...facts, at: home } } : draft;
}

function itemSteps(situation: Situation): OperationsAnswer {
  const crossing = crossingOf(situation);
  if (crossing !== 0) return crossing < 0 ? noWayBack(situation) : upgrade(situation);
  const config = situation.drifted.config ? configStep(situation) : EMPTY;
  const firmware = situation.drifted.firmware ? firmwareStep(situation) : EMPTY;
  return join(config, firmware);
}

const EMPTY: OperationsAnswer = { drafts: [], impossible: [] };

function join(...answers: readonly OperationsAnswer[]): OperationsAnswer {
  return { drafts: answers.flatMap((one) => one.drafts), impossible: answers.flatMap((one) => one.impossible) };
}

function situationOf(request: OperationsRequest): Situation | null {
  const { device, reported, items, drifted } = request;
  const firmware = readFirmwareFacts(reported.items.firmware);
  const config = readConfigFacts(reported.items.config);
  if (firmware === null || config === null) return null;
  const firmwareItem = items.find((item) => item.item === 'firmware');
  const configItem = items.find((item) => item.item === 'config');
  const wantedFirmware = readDeclaredFirmware(firmwareItem);
  const wantedConfig = readDeclaredConfig(configItem);
  const trust = trustSituation({ device, reported, items, running: config.running, link: firmware.link });
  return {
    device,
    reported,
    runs: { firmware, config },
    wants: {
      firmware: wantedFirmware === null || firmwareItem === undefined ? null : { ...wantedFirmware, item: firmwareItem },
      config: wantedConfig === null || configItem === undefined ? null : { ...wantedConfig, item: configItem },
    },
    drifted: { firmware: drifted.includes('firmware'), config: drifted.includes('config') },
    configHeld: configItem?.impossible?.evidence ?? null,
    trust,
    trustSteps: trust !== null && drifted.includes('trust') ? trustOperations(trust) : NOTHING,
  };
}

/** A device whose running config polls or reports never cannot be changed from here (F3, F4). */
function deafness(situation: Situation): Impossible | null {
  const { ota, heartbeat } = situation.runs.firmware.link;
  const told = ota === 0 ? 'never looks for changes (ota 0)' : heartbeat === 0 ? 'never reports (heartbeat 0)' : null;
  if (told === null) return null;
  return { item: null, reason: 'UNSUPPORTED', evidence: `the config that it runs ${told}: somebody must change it on the SD card` };
}

/** Whether the declared items lead to a later (positive) or earlier series than the device runs. */
function crossingOf(situation: Situation): number {
  const { wants, runs, drifted } = situation;
  const wanted = wants.firmware !== null && drifted.firmware ? wants.firmware.series : drifted.config ? wants.config?.series : undefined;
  return wanted === undefined ? 0 : compareSeries(wanted, runs.firmware.series);
}

/** No config is migrated backwards, and the device's own rule is not known (§6.4): it keeps what it has. */
function noWayBack({ wants, runs, drifted }: Situation): OperationsAnswer {
  const impossible: Impossible[] = [];
  if (wants.firmware !== null && drifted.firmware) {
    const evidence = `runs ${runs.firmware.version}; there is no way back to ${wants.firmware.version} across a config series`;
    impossible.push({ item: 'firmware', reason: 'INCOMPATIBLE', evidence });
  }
  if (wants.config !== null && drifted.config) {
    const evidence = `runs ${runs.firmware.version}, which does not read a config of series ${wants.config.series}`;
    impossible.push({ item: 'config', reason: 'INCOMPATIBLE', evidence });
  }
  return { drafts: [], impossible };
}

/** To a later series: its config object first, then the image (§6.2). The device aborts an image without it (F5). */
function upgrade(situation: Situation): OperationsAnswer {
  const { wants, runs, drifted } = situation;
  if (wants.firmware === null || compareSeries(wants.firmware.series, runs.firmware.series) <= 0) {
    const evidence = `the config is of series ${wants.config?.series ?? '?'}; the device runs ${runs.firmware.version} and no later firmware is pinned`;
    return { drafts: [], impossible: [{ item: 'config', reason: 'INCOMPATIBLE', evidence }] };
  }
  if (!drifted.firmware) {
    const evidence = `waits for firmware ${wants.firmware.version}, which reads configs of series ${wants.firmware.series}`;
    return { drafts: [], impossible: [{ item: 'config', reason: 'WAITS_FOR_ITEM', evidence }] };
  }
  const { series } = wants.firmware;
  if (situation.configHeld !== null) {
    const evidence = `needs its config of series ${series} first: ${situation.configHeld}`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'WAITS_FOR_ITEM', evidence }] };
  }
  const next = runs.config.next?.series === series ? runs.config.next : null;
  if (wants.config === null) {
    if (next?.crc != null) return firmwareStep(situation);
    const evidence = `firmware ${wants.firmware.version} needs a config of series ${series}: none is pinned and the folder has none`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'NO_UPGRADE_PATH', evidence }] };
  }
  if (wants.config.series !== series) {
    const evidence = `the pinned config is of series ${wants.config.series}, firmware ${wants.firmware.version} reads ${series}`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'NO_UPGRADE_PATH', evidence }] };
  }
  const refused = configRefusal(situation, imageProblems(wants.firmware.item.content, wants.config.item.content));
  if (refused !== null) return { drafts: [], impossible: [refused] };
  const firmware = firmwareStep(situation);
  if (firmware.impossible.length > 0 || next?.crc === wants.config.crc) return firmware;
  const object = next?.crc == null || next.sha256 === null ? null : { crc: next.crc, sha256: next.sha256 };
  return join({ drafts: [nextConfigDraft(situation, object)], impossible: [] }, firmware);
}

function migrationEffects({ migrated }: Pick<DeclaredConfigFacts, 'migrated'>): readonly string[] {
  return migrated === null ? [] : [`reads a config migrated from series ${migrated.from}`];
}

function nextConfigDraft(situation: Situation, object: { readonly crc: string; readonly sha256: string } | null): OperationDraft {
  const { wants, reported, runs, device } = situation;
  const config = wants.config;
  const document = documentOf(config?.item.content ?? null);
  return {
    item: 'config',
    step: 'config-next',
    kind: 'change',
    delivery: 'offer',
    declared: config?.item.value ?? '',
    expected: valueOf(reported, 'config'),
    facts: {
      series: config?.series ?? '',
      crc: config?.crc ?? '',
      object,
      crosses: true,
      link: false,
      ...movesBy(document === undefined ? 'none' : linkChange(situation, document)),
      ...encryptedTo(config),
    },
    content: config?.item.content ?? null,
    deadlineMs: deadlineMs(runs.firmware.link, device),
    effects: config === null ? [] : migrationEffects(config),
    disturbs: false,
  };
}

/** What the driver must look at itself before it writes: how the config changes the server of the device. */
function movesBy(change: LinkChange): { readonly moves?: 'tls' | 'move' | 'other' } {
  return change === 'none' || change === 'unknown' ? {} : { moves: change };
}

/** What the driver compares with the heartbeat right before it writes. */
function encryptedTo(config: DeclaredConfigFacts | null): { readonly kpub?: string } {
  return config === null || config.kpub === null ? {} : { kpub: config.kpub };
}

/** The config of the series that runs: the device takes it at its next poll and restarts (§5.1). */
function configStep(situation: Situation): OperationsAnswer {
  const { wants, runs, reported, device } = situation;
  const config = wants.config;
  if (config === null) return EMPTY;
  const { checked } = runs.config;
  const refused = configRefusal(situation, checked?.digest === config.item.content?.digest ? checked : null);
  if (refused !== null) return { drafts: [], impossible: [refused] };
  const document = documentOf(config.item.content);
  const link = document !== undefined && touchesLink(runs.config.running, document);
  const object = runs.config.object;
  return {
    drafts: [
      ...configThere(situation),
      {
        item: 'config',
        step: 'config',
        kind: 'change',
        delivery: 'offer',
        declared: config.item.value,
        expected: valueOf(reported, 'config'),
        facts: {
          series: config.series,
          crc: config.crc,
          object: object === null ? null : { crc: object.crc, sha256: object.sha256 },
          crosses: false,
          link,
          ...movesBy(document === undefined ? 'none' : linkChange(situation, document)),
          ...encryptedTo(config),
        },
        content: config.item.content,
        deadlineMs: deadlineMs(runs.firmware.link, device),
        effects: [
          'restarts the device',
          ...migrationEffects(config),
          ...(link ? ['changes how it reaches its server: a mistake there is mended only by hand'] : []),
        ],
        disturbs: true,
      },
    ],
    impossible: [],
  };
}

/** Another config where the device is to go would be taken on its arrival, and might lead it away again. */
function configThere(situation: Situation): readonly OperationDraft[] {
  const { wants, runs, reported, device } = situation;
  const { config } = wants;
  const [there, towards] = [runs.config.there, readMemo(reported).towards];
  if (config === null || there === null || towards === null || there.crc === config.crc) return [];
  return [
    {
      item: 'config',
      step: 'config-there',
      kind: 'change',
      delivery: 'offer',
      declared: config.item.value,
      expected: valueOf(reported, 'config'),
      facts: {
        series: config.series,
        crc: config.crc,
        object: { crc: there.crc, sha256: there.sha256 },
        crosses: false,
        link: false,
        moves: 'move',
        at: towards,
        ...encryptedTo(config),
      },
      content: config.item.content,
      deadlineMs: deadlineMs(runs.firmware.link, device),
      effects: [],
      disturbs: false,
    },
  ];
}

function linkChange({ runs, reported }: Situation, document: Json): LinkChange {
  return linkChangeOf(runs.config.running, connectSummary(document), readMemo(reported).towards !== null);
}

function trustOf({ trust, trustSteps, device }: Situation): Omit<Parameters<typeof linkRefusal>[1], 'change'> {
  return { trust, adds: trustSteps.first.length > 0, network: modelByName(device.model)?.network ?? '' };
}

/** Why the declared config must not be written: lock-out guards first, then what the Rule Schema says. */
function configRefusal(
  situation: Situation,
  checked: { readonly schema: 'ok' | 'missing' | 'unusable'; readonly problems: readonly string[] } | null,
): Impossible | null {
  const { wants, runs, device } = situation;
  const config = wants.config;
  if (config === null) return null;
  const document = documentOf(config.item.content);
  const link = document === undefined ? null : { next: connectSummary(document), change: linkChange(situation, document) };
  const against = document === undefined || runs.config.running === null ? [] : changeGuards(runs.config.running, document);
  const waits = link === null ? null : linkRefusal(link.next, { ...trustOf(situation), change: link.change });
  // Which certificates are missing says more than that another server is declared.
  if (waits?.reason === 'LOCKOUT_GUARD') return { item: 'config', ...waits };
  const declaredMove = link !== null && isVouchedFor(link.change, link.next, situation.trust !== null);
  const relative = against.filter(({ code }) => !(declaredMove && code === 'endpoint'));
  const sealed = sealedSecretGuards(runs.config.running, { ssids: link?.next.ssids ?? [], secrets: config.secrets });
  const own = asGuards(config.guards);
  const { compared } = runs.config;
  const seen = compared?.digest === config.item.content?.digest ? asGuards(compared?.guards ?? []) : [];
  const guard = standing(
    [...withoutFlawsOf(runs.config.running, own), ...relative, ...sealed, ...seen],
    readOptions(device.options).allow,
  )[0];
  if (guard !== undefined) {
    const way = guard.code === null ? '' : ` (options: { allow: [${guard.code}] } lets it through)`;
    return { item: 'config', reason: 'LOCKOUT_GUARD', evidence: `${guard.text}${way}` };
  }
  if (waits !== null) return { item: 'config', ...waits };
  if (checked === null || (checked.schema === 'ok' && checked.problems.length === 0)) return null;
  if (checked.schema !== 'ok') return { item: 'config', reason: 'UNSUPPORTED', evidence: checked.problems.join('; ') };
  return { item: 'config', reason: 'INCOMPATIBLE', evidence: `the device would refuse it: ${checked.problems.join('; ')}` };
}

/** Another server is let through without a person's leave only by the certificates for it, where it has one (§7.3). */
function isVouchedFor(change: LinkChange, next: ConnectSummary, pinned: boolean): boolean {
  return (change === 'tls' || change === 'move') && (pinned || !isTls(next.endpoint));
}

function asGuards(guards: DeclaredConfigFacts['guards']): readonly Guard[] {
  return guards.map(({ code, text }) => ({ code: code as GuardCode | null, text }));
}

/** Checks a config against the Rule Schema inside an image that is at hand; null when it is not. */
function imageProblems(
  image: Content | null,
  config: Content | null,
): { readonly schema: 'ok' | 'unusable'; readonly problems: readonly string[] } | null {
  const document = documentOf(config);
  if (image?.kind !== 'bytes' || document === undefined) return null;
  const parsed = parseFirmwareImage(image.bytes);
  if (!parsed.ok) return { schema: 'unusable', problems: [parsed.error.message] };
  const schema = compileRuleSchema(parsed.value.schema.bytes);
  return schema.ok ? { schema: 'ok', problems: schema.value.check(document) } : { schema: 'unusable', problems: [schema.error.message] };
}

function documentOf(content: Content | null): ReturnType<typeof parseJson> {
  return content?.kind === 'bytes' ? parseJson(content.bytes) : undefined;
}

/** The image itself, or, when the device runs it already, the deletion of what is left of it. */
function firmwareStep(situation: Situation): OperationsAnswer {
  const { wants, runs, reported, device } = situation;
  const firmware = wants.firmware;
  if (firmware === null) return EMPTY;
  if (sameVersion(firmware.version, runs.firmware.version)) return { drafts: [cleanupDraft(situation)], impossible: [] };
  if (firmware.model !== null && reported.model !== null && firmware.model !== reported.model) {
    const evidence = `the image is for a ${firmware.model}, the device is a ${reported.model}`;
    return { drafts: [], impossible: [{ item: 'firmware', reason: 'INCOMPATIBLE', evidence }] };
  }
  const crosses = firmware.series !== runs.firmware.series;
  const back = (compareVersions(firmware.version, runs.firmware.version) ?? 0) < 0;
  return {
    drafts: [
      {
        item: 'firmware',
        step: 'firmware',
        kind: 'change',
        delivery: 'offer',
        declared: firmware.item.value,
        expected: valueOf(reported, 'firmware'),
        facts: { series: firmware.series, crc: crosses ? (wants.config?.crc ?? null) : null, object: null, crosses, link: false },
        content: firmware.item.content,
        deadlineMs: deadlineMs(runs.firmware.link, device) + FIRMWARE_EXTRA_MS,
        effects: [
          'restarts the device',
          ...(crosses ? ['cannot come back to the earlier config series'] : []),
          ...(back ? ['goes back to a lower patch'] : []),
        ],
        disturbs: true,
      },
    ],
    impossible: [],
  };
}

function cleanupDraft({ wants, runs, reported, device }: Situation): OperationDraft {
  return {
    item: 'firmware',
    step: 'cleanup-firmware',
    kind: 'change',
    delivery: 'push',
    declared: wants.firmware?.item.value ?? '',
    expected: valueOf(reported, 'firmware'),
    facts: { series: runs.firmware.series, crc: null, object: null, crosses: false, link: false },
    content: wants.firmware?.item.content ?? null,
    deadlineMs: deadlineMs(runs.firmware.link, device),
    effects: [],
    disturbs: false,
  };
}

function valueOf(reported: ReportedDevice, item: 'config' | 'firmware'): string | null {
  const value = reported.items[item];
  return value?.kind === 'value' ? value.value : null;
}

const FIRMWARE_EXTRA_MS = 300 * SECOND_MS;
