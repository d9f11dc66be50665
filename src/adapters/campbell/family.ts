import { durationText, MINUTE_MS } from '#kit/duration.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { OperationRecord } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, ExpectedItem, Family, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { expectedIdentity } from './certificates.ts';
import { credentialsOf } from './credentials.ts';
import { confirm, sameValue } from './confirm.ts';
import { expectedFiles, filesAgree } from './files.ts';
import { identityAgrees } from './identity-report.ts';
import { MODELS, programExtensions } from './models.ts';
import { moveOrder } from './move.ts';
import { commandFacts, operations } from './operations.ts';
import { campbellOptions, OS_DEADLINE_MS } from './options.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import settingsSchema from './settings.schema.json' with { type: 'json' };
import { compareOsVersions, osFamily, osVersionText, parseOsVersion } from './os-version.ts';
import { REASONS_OF_FAILURE } from './reasons.ts';
import { provesIdentity, ROTATION_DEADLINE_MS, rotationFacts } from './rotation.ts';
import { expectedSettings, settingsAgree } from './settings.ts';
import { filesOrder } from './files.ts';
import { settingsOrder } from './settings-operations.ts';
import { expectedTrust, provesTrust, trustAgrees, trustOrder } from './trust.ts';
import { isUid, LONGEST_FILE_NAME } from './wire.ts';

/** Campbell Scientific loggers over MQTT, dialects os80 and legacy: readme.md. */
export const campbellFamily: Family = {
  name: 'campbell',
  items: ['firmware', 'program', 'settings', 'files', 'trust', 'identity'],
  measures: { battery: 'V', low12V: 'times', skippedScans: 'scans', watchdogErrors: 'errors', watchdogEvents: 'events' },
  optionsSchema,
  settingsSchema,
  connections: ['mqtt'],
  models: MODELS,
  lint,
  series: () => null,
  compareVersions,
  expectation,
  secretItems: ['settings'],
  agrees,
  proves,
  credentials: credentialsOf,
  unheard,
  // §5.2 trap 1.
  takesAnyAnswer: ['program'],
  operations,
  confirm,
  withdrawal: () => [],
  lostAfterMs,
  attention: null,
  reasons: REASONS_OF_FAILURE,
};

function lostAfterMs({ facts }: OperationRecord): number {
  if (rotationFacts(facts) !== null || trustOrder(facts) !== null) return ROTATION_DEADLINE_MS;
  return (commandFacts(facts) ?? moveOrder(facts) ?? settingsOrder(facts) ?? filesOrder(facts))?.lostAfterMs ?? OS_DEADLINE_MS;
}

/** How long somebody must listen until each logger has said its status once, in minutes. */
const LISTEN_MARGIN_MS = 5 * MINUTE_MS;

/**
 * Loggers of dialects before v2 tell their versions by themselves alone (docs/protocols/campbell-mqtt.md §1.3, §3.3); what is
 * asked for, an apply asks: a plan never does.
 */
function unheard(device: DeclaredDevice, item: ItemName): string | null {
  const options = campbellOptions(device.options);
  if (item === 'identity' || item === 'trust') return null;
  const asked = item === 'settings' || item === 'files' || options.dialect === 'v2' || options.probe;
  if (asked) return 'not asked for yet: an apply asks the logger while it is online';
  if (options.statusIntervalMs === 0) return 'nothing heard yet, and MQTTStatusInterval is 0: it is said at program start alone';
  const [every, listen] = [options.statusIntervalMs, options.statusIntervalMs + LISTEN_MARGIN_MS].map((ms) =>
    durationText(ms).replace(' ', ''),
  );
  return `nothing heard yet, and it is said every ${every}: needs the daemon or --listen ${listen}`;
}

/** Of an identity what its broker saw; of roots what a server showed; of all else a report of known age. */
function proves(declared: DeclaredItem, reported: ReportedDevice): boolean {
  if (declared.item === 'identity') return provesIdentity(declared, reported);
  if (declared.item === 'trust') return provesTrust(declared, reported);
  const value = reported.items[declared.item];
  return value?.kind === 'value' && value.madeNotBefore !== null && (value.value === declared.value || agrees(declared, value));
}

function agrees(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean {
  switch (declared.item) {
    case 'settings':
      return settingsAgree(declared, reported);
    case 'files':
      return filesAgree(declared, reported);
    case 'trust':
      return trustAgrees(declared, reported);
    case 'identity':
      return identityAgrees(declared, reported);
    default:
      return sameValue(declared.item, declared.value, reported.value);
  }
}

/** The address is what stands in the logger's topics: a UID, or model and serial (docs/protocols/campbell-mqtt.md §1.1). */
function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const problems = addressProblems(device);
  const options = campbellOptions(device.options);
  if (options.hazardAccepted === null || options.hazard !== 'none') return problems;
  const summary = 'hazardAccepted is written where no hazard is';
  return [
    ...problems,
    { severity: 'warning', code: 'HAZARD_WITHOUT_NAME', summary, fix: 'write hazard: switched-modem, or leave both out' },
  ];
}

function addressProblems(device: DeviceFacts): readonly FamilyProblem[] {
  const { address, serial, model } = device;
  const fix = `write the UID (XXXX-XXXX-XXXX) or model and serial (${model.toLowerCase()}/${serial ?? '12345'}), as they stand in the logger's topics`;
  if (address === null) return [{ code: 'ADDRESS_MISSING', summary: 'a Campbell logger needs an address', fix }];
  if (isUid(address)) return [];
  const [, addressModel, addressSerial] = /^([A-Za-z0-9-]+)\/([A-Za-z0-9]+)$/.exec(address) ?? [];
  if (addressModel === undefined || addressSerial === undefined) {
    return [{ code: 'ADDRESS_SHAPE', summary: `${JSON.stringify(address)} is no address of a Campbell logger`, fix }];
  }
  if (osFamily(addressModel) !== osFamily(model)) {
    return [{ code: 'ADDRESS_MODEL', summary: `address ${address} is that of another model than ${model}`, fix }];
  }
  if (serial === null || serial.toUpperCase() === addressSerial.toUpperCase()) return [];
  return [{ code: 'ADDRESS_SERIAL', summary: `address ${address} is that of another logger than serial ${serial}`, fix }];
}

function compareVersions(a: string, b: string): number | null {
  const left = parseOsVersion(a);
  const right = parseOsVersion(b);
  return left === null || right === null ? null : compareOsVersions(left, right);
}

function expectation(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  switch (pin.item) {
    case 'firmware':
      return expectedOs(device, pin);
    case 'program':
      return expectedProgram(device, pin);
    case 'settings':
      return expectedSettings(device, pin);
    case 'files':
      return expectedFiles(device, pin);
    case 'trust':
      return expectedTrust(device, pin);
    case 'identity':
      return expectedIdentity(device, pin);
    default:
      return err({ code: 'UNKNOWN_ITEM', summary: `Campbell loggers carry no ${pin.item}`, fix: 'pin firmware or program' });
  }
}

function expectedOs(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.content === null || pin.artifact === null) {
    return err({ code: 'CONTENT_MISSING', summary: 'an OS is pinned as an artifact', fix: 'write name@version of a kind: Artifact' });
  }
  const written = pin.artifact.reportsAs ?? pin.artifact.version;
  const version = parseOsVersion(written);
  if (version === null) {
    const fix = `write reportsAs: ${device.model}.8.2.1, as the logger reports it`;
    return err({ code: 'VERSION_UNREADABLE', summary: `${JSON.stringify(written)} cannot be read as an OS version`, fix });
  }
  if (version.model !== null && osFamily(version.model) !== osFamily(device.model)) {
    return err({
      code: 'OTHER_MODEL',
      summary: `${written} is an OS of another model than ${device.model}`,
      fix: 'pin an OS of this model',
    });
  }
  const value = osVersionText({ ...version, model: version.model ?? device.model });
  return ok({ value, version: pin.artifact.version, facts: {}, content: pin.content });
}

function expectedProgram(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.content === null) return err({ code: 'CONTENT_MISSING', summary: 'a program is pinned as a file or an artifact' });
  const name = programName(pin, pin.content.name);
  const problem = programNameProblem(device.model, name);
  if (problem !== null) return err(problem);
  return ok({ value: `CPU:${name}`, version: pin.artifact?.version ?? name, facts: {}, content: pin.content });
}

/** The name on the logger carries the version: it is all that a logger of these dialects reports of its program. */
function programName(pin: PinnedItem, contentName: string): string {
  const base = contentName.slice(contentName.lastIndexOf('/') + 1);
  if (pin.artifact === null) return base;
  if (pin.artifact.reportsAs !== null) return pin.artifact.reportsAs.replace(/^CPU:/i, '');
  const dot = base.lastIndexOf('.');
  return `${pin.artifact.name}-${pin.artifact.version}${dot < 0 ? '' : base.slice(dot)}`;
}

function programNameProblem(model: string, name: string): FamilyProblem | null {
  if (name.length > LONGEST_FILE_NAME) {
    const summary = `program name ${JSON.stringify(name)} has ${name.length} characters, the logger takes ${LONGEST_FILE_NAME}`;
    return { code: 'FILE_NAME_TOO_LONG', summary, fix: 'write a shorter name' };
  }
  if (!/^[\x20-\x7e]+$/.test(name) || /[/\\:"*?<>|]/.test(name) || name.trim() !== name) {
    return { code: 'FILE_NAME', summary: `${JSON.stringify(name)} cannot be a file name on a logger`, fix: 'use letters, digits, - and _' };
  }
  const extensions = programExtensions(model);
  const extension = name.slice(name.lastIndexOf('.') + 1).toUpperCase();
  if (name.includes('.') && extensions.includes(extension)) return null;
  const wanted = extensions.map((one) => `.${one}`).join(', ');
  return { code: 'FILE_EXTENSION', summary: `${JSON.stringify(name)} is no program file of a ${model}`, fix: `use one of ${wanted}` };
}
