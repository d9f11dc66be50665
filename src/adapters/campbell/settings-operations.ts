import { SECOND_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import { SECRET_TEXT } from '#kit/secret.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Confirmation, OpenOperation, OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { OperationsAnswer } from '#ports/family.ts';
import { moveOperation, movingSettings } from './move.ts';
import type { CampbellOptions } from './options.ts';
import { settingsDifference, settingsFacts, type SettingsFacts } from './settings.ts';

/** What an operation on settings carries for the driver: only what is to be written. Secrets by their digests. */
export interface SettingsOrder extends SettingsFacts {
  readonly kind: 'settings';
  readonly lostAfterMs: number;
}

/** Settings with which a logger finds and is let in by its broker (docs/protocols/campbell-mqtt.md §2.1). */
const LINK = new Set([
  'CampbellCloudEnable',
  'MQTTBaseTopic',
  'MQTTClientID',
  'MQTTEnable',
  'MQTTEndpoint',
  'MQTTPassword',
  'MQTTPortNumber',
  'MQTTUserName',
  'TLSPassword',
]);

/** Settings that recompile the program and may erase its tables (§5.6): by what their names begin with. */
const RECOMPILES = [
  'IPAddress',
  'IPGateway',
  'IPMask',
  'PPP',
  'Baudrate',
  'MaxTLSServerConnections',
  'TLSConnections',
  'USRDriveSize',
  'PakBusEncryptionKey',
  'PakBusPort',
  'PakBusTCPClients',
  'HTTPPort',
  'FTPPort',
  'CommsMemAlloc',
  'FilesManager',
] as const;

/** A reading that speaks against a change must be so much younger than it: a logger that restarts answers with the old. */
const STANDS_AFTER_MS = 30 * SECOND_MS;

interface Request {
  readonly device: DeclaredDevice;
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
  readonly options: CampbellOptions;
}

/** First the settings, then the constants: each set by commands of its own, each read back before the next. */
export function settingsOperations(request: Request): OperationsAnswer {
  const { device, declared, reported, options } = request;
  const refuse = (reason: Impossible['reason'], evidence: string): OperationsAnswer => ({
    drafts: [],
    impossible: [{ item: 'settings', reason, evidence }],
  });
  const item = reported.items.settings;
  const [wanted, said] = [settingsFacts(declared.facts), item?.kind === 'value' ? settingsFacts(item.facts) : null];
  if (wanted === null || said === null || item?.kind !== 'value') return refuse('NEVER_REPORTED', 'the settings were not read yet');
  const { settings: differing, constants, unread } = settingsDifference(wanted, said);
  if (unread.length > 0)
    return refuse('NEVER_REPORTED', `${unread.join(', ')} was not read yet: an apply asks the logger while it is online`);
  const moving = movingSettings(device, differing);
  const settings = differing.filter((name) => !moving.includes(name));
  const cutting = settings.filter((name) => LINK.has(name));
  if (cutting.length > 0 && options.linkAccepted === null) {
    return refuse(
      'LOCKOUT_GUARD',
      `${cutting.join(', ')} could cut the link of this logger for good; move it by \`via: { from, to }\`, or say in options.linkAccepted why it cannot`,
    );
  }
  const recompiling = settings.filter(recompiles);
  if ((recompiling.length > 0 || constants.length > 0) && options.hazard === 'switched-modem' && options.hazardAccepted === null) {
    const what = [...recompiling, ...constants.map((name) => `constants.${name}`)].join(', ');
    return refuse(
      'LOCKOUT_GUARD',
      `modem is switched by the program that ${what} recompiles; say in options.hazardAccepted why it comes back`,
    );
  }
  const draft = (step: string, order: SettingsFacts, effects: readonly string[]): OperationDraft => ({
    item: 'settings',
    step,
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected: item.value,
    facts: { kind: 'settings', ...order, lostAfterMs: options.programDeadlineMs + options.stateIntervalMs },
    content: null,
    deadlineMs: options.programDeadlineMs + options.statusIntervalMs,
    effects,
    disturbs: true,
  });
  const drafts: OperationDraft[] = [];
  if (settings.length > 0) {
    const more = recompiling.length > 0 ? ['recompiles the program', 'may erase stored tables'] : [];
    const pick = (from: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(from).filter(([name]) => settings.includes(name)));
    const order = { settings: pick(wanted.settings), secrets: pick(wanted.secrets), constants: {} };
    drafts.push(draft('settings', order, ['may restart the device', ...more]));
  }
  if (constants.length > 0) {
    const changed = Object.fromEntries(Object.entries(wanted.constants).filter(([name]) => constants.includes(name)));
    drafts.push(
      draft('constants', { settings: {}, secrets: {}, constants: changed }, ['recompiles the program', 'may erase stored tables']),
    );
  }
  if (moving.length === 0) return { drafts, impossible: [] };
  // Last, so that whatever else is to be set is set where the logger is known to be heard.
  const move = moveOperation(request, moving);
  return 'reason' in move ? { drafts, impossible: [move] } : { drafts: [...drafts, move], impossible: [] };
}

function recompiles(name: string): boolean {
  return RECOMPILES.some((start) => name.startsWith(start));
}

/** Reads back what settingsOperations wrote; null for what is none of it. */
export function settingsOrder(facts: Json): SettingsOrder | null {
  const order = settingsFacts(facts);
  if (order === null || typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { kind, lostAfterMs } = facts as Readonly<Record<string, Json | undefined>>;
  return kind === 'settings' && typeof lostAfterMs === 'number' ? { kind, ...order, lostAfterMs } : null;
}

/** A value that cannot be is answered with success and ignored (§5.6): only what is read back afterwards counts. */
export function confirmSettings(open: OpenOperation, reported: ReportedDevice, order: SettingsOrder): Confirmation {
  const reference = open.reference ?? open.intendedAt;
  const item = reported.items.settings;
  const said = item?.kind === 'value' && item.madeNotBefore !== null && item.madeNotBefore > reference ? item : null;
  const facts = said === null ? null : settingsFacts(said.facts);
  const waiting = {
    kind: 'open',
    phase: open.reference === null ? 'IN_FLIGHT' : 'VERIFYING',
    takenAt: open.takenAt ?? open.reference,
  } as const;
  if (said === null || facts === null || said.madeNotBefore === null) {
    return { ...waiting, oldValueSeenAt: null, evidence: 'sent; not read back yet' };
  }
  const { settings, constants, unread } = settingsDifference(order, facts);
  const [wrong] = [...settings, ...constants];
  if (wrong === undefined && unread.length === 0) return { kind: 'confirmed', evidence: `reads back ${said.value}` };
  if (wrong === undefined) return { ...waiting, oldValueSeenAt: null, evidence: `${unread.join(', ')} was not read back yet` };
  const wanted = order.settings[wrong] ?? order.constants[wrong] ?? SECRET_TEXT;
  const read = facts.settings[wrong] ?? facts.constants[wrong] ?? SECRET_TEXT;
  const evidence = `${wrong} reads ${JSON.stringify(read)} in place of ${JSON.stringify(wanted)}`;
  if (open.reference !== null && said.madeNotBefore - reference >= STANDS_AFTER_MS)
    return { kind: 'failed', code: 'SETTING_IGNORED', evidence };
  return { ...waiting, oldValueSeenAt: said.value === open.operation.expected ? said.madeNotBefore : null, evidence };
}
