import { MINUTE_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import type { ConnectionDeclaration, DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { Confirmation, OpenOperation, OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice, Sign } from '#model/reported.ts';
import { MQTT_CONFIG_SETTINGS, type MqttConfigEntry } from './mqtt-config.ts';
import type { CampbellOptions } from './options.ts';
import { memoOf } from './reports.ts';
import { configRefusal } from './rotation-confirm.ts';
import { settingsDifference, settingsFacts, type SettingsFacts } from './settings.ts';

/** As for a new certificate: the same file, the same two restarts (docs/protocols/campbell-mqtt.md §5.3, §9.5). */
const MOVE_DEADLINE_MS = 10 * MINUTE_MS;
/** Nothing says whether a logger connects between the two restarts (§5.3): what speaks against it must have stood so long. */
const STANDS_MS = 3 * MINUTE_MS;

/** Settings that lead to another broker and into it (§6.2). Names under which we know the logger are not among them. */
const MOVING = new Set(['MQTTEndpoint', 'MQTTPortNumber', 'MQTTUserName', 'MQTTPassword']);

/** What a move carries for the driver: secrets by their digests. */
export interface MoveOrder extends SettingsFacts {
  readonly kind: 'move';
  /** The connections that it leaves and at which alone it is proven. */
  readonly from: string;
  readonly to: string;
  readonly lostAfterMs: number;
}

interface Request {
  readonly device: DeclaredDevice;
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
  readonly options: CampbellOptions;
}

/** The connection at which a logger was heard last; during a move either of the two. */
export function whereabouts({ via }: Pick<DeclaredDevice, 'via'>, report: ReportedDevice): string {
  const { onlineVia } = memoOf(report);
  return via.to !== null && onlineVia === via.to ? via.to : via.connection;
}

/** Of settings that differ, those that a move carries; none where nobody declared that the device moves. */
export function movingSettings({ via }: Pick<DeclaredDevice, 'via'>, differing: readonly string[]): readonly string[] {
  return via.to !== null && differing.includes('MQTTEndpoint') ? differing.filter((name) => MOVING.has(name)) : [];
}

/** One file with all of them, so that no restart falls between two: `mqttConfig` (docs/protocols/campbell-mqtt.md §5.3, §6). */
export function moveOperation(request: Request, moving: readonly string[]): OperationDraft | Impossible {
  const { device, declared, reported, options } = request;
  const item = reported.items.settings;
  const wanted = settingsFacts(declared.facts);
  const from = whereabouts(device, reported);
  const to = from === device.via.to ? device.via.connection : device.via.to;
  if (wanted === null || to === null || item?.kind !== 'value')
    return { item: 'settings', reason: 'NEVER_REPORTED', evidence: 'the settings were not read yet' };
  if (moving.includes('MQTTPortNumber') && options.linkAccepted === null) {
    const evidence =
      'loggers were seen to take no numbers from a configuration file: let both brokers listen on one port, or say in options.linkAccepted why this one takes it';
    return { item: 'settings', reason: 'LOCKOUT_GUARD', evidence };
  }
  const pick = (all: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(all).filter(([name]) => moving.includes(name)));
  return {
    item: 'settings',
    step: 'move',
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected: item.value,
    facts: { kind: 'move', from, to, settings: pick(wanted.settings), secrets: pick(wanted.secrets), lostAfterMs: MOVE_DEADLINE_MS },
    content: null,
    deadlineMs: MOVE_DEADLINE_MS,
    effects: ['restarts the device', `moves it from ${from} to ${to}`],
    disturbs: true,
  };
}

/** A name that is not that of the broker to be heard at is most likely a slip, and a slip is the end of the logger. */
export function endpointProblem(
  { to, settings }: MoveOrder,
  connection: ConnectionDeclaration | undefined,
  { linkAccepted }: Pick<CampbellOptions, 'linkAccepted'>,
): string | null {
  const endpoint = settings['MQTTEndpoint'];
  if (linkAccepted !== null || connection?.type !== 'mqtt' || endpoint === undefined || !URL.canParse(connection.url)) return null;
  const { hostname } = new URL(connection.url);
  if (hostname.toLowerCase() === endpoint.toLowerCase()) return null;
  return `MQTTEndpoint is ${endpoint}, and ${to} is at ${hostname}; say in options.linkAccepted that both are one broker`;
}

/** Reads back what moveOperation wrote; null for the facts of any other operation. */
export function moveOrder(facts: Json): MoveOrder | null {
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  const { kind, from, to, settings, secrets, lostAfterMs } = facts as Readonly<Record<string, Json | undefined>>;
  if (kind !== 'move' || typeof from !== 'string' || typeof to !== 'string' || typeof lostAfterMs !== 'number') return null;
  const order = settingsFacts({ settings: settings ?? null, secrets: secrets ?? null, constants: {} });
  return order === null ? null : { kind, from, to, ...order, lostAfterMs };
}

/** The entries of the file, in the order of their ids; null for a setting that the file does not have. */
export function moveEntries(values: readonly (readonly [string, string])[]): readonly MqttConfigEntry[] | null {
  const entries = values.map(([name, value]) => ({ id: MQTT_CONFIG_SETTINGS.find(({ setting }) => setting === name)?.id, value }));
  const known = entries.flatMap(({ id, value }) => (id === undefined ? [] : [{ id, value }]));
  return known.length === entries.length ? known.toSorted((a, b) => a.id - b.id) : null;
}

/**
 * Only a report at the other end proves a move: heard there after the command, and the settings read back there as
 * declared. Where two brokers are bridged a message alone would say nothing of where the logger is.
 */
export function confirmMove(open: OpenOperation, reported: ReportedDevice, order: MoveOrder): Confirmation {
  const { onlineVia, onlineAt } = memoOf(reported);
  const reference = open.reference ?? open.intendedAt;
  const arrived = onlineVia === order.to && onlineAt !== null && onlineAt > open.intendedAt;
  const item = reported.items.settings;
  const said = item?.kind === 'value' && item.madeNotBefore !== null && item.madeNotBefore > reference ? item : null;
  const facts = said === null ? null : settingsFacts(said.facts);
  const left = facts === null ? null : settingsDifference(order, facts);
  const agrees = left !== null && left.settings.length + left.unread.length === 0;
  if (arrived && agrees) return { kind: 'confirmed', evidence: `heard at ${order.to}, and reads back its settings there` };
  const signs = reported.signs.filter(({ at, item: of }) => at !== null && at >= open.intendedAt && (of ?? 'identity') === 'identity');
  const refused = configRefusal(signs);
  if (refused !== null) return refused;
  const restart = signs.findLast(({ code, item: of }) => code === 'RESTARTING' && of === 'identity');
  const back = restart !== undefined && onlineVia === order.from && (onlineAt ?? 0) - (restart.at ?? 0) >= STANDS_MS;
  if (back)
    return {
      kind: 'failed',
      code: 'ENDPOINT_NOT_USED',
      evidence: `it loaded the configuration, restarted, and came back to ${order.from}`,
    };
  const last = signs.findLast(({ code }) => code !== 'REPLIED');
  const taken = signs.find(({ code, item: of }) => of === 'identity' && (code === 'DOWNLOADING' || code === 'RESTARTING'));
  const idle = last === undefined || !['DOWNLOADING', 'RESTARTING'].includes(last.code);
  const old = idle && restart === undefined && !arrived && said !== null && said.value === open.operation.expected;
  return {
    kind: 'open',
    phase: restart === undefined ? 'IN_FLIGHT' : 'VERIFYING',
    takenAt: open.takenAt ?? taken?.at ?? null,
    oldValueSeenAt: old ? (said.madeNotBefore ?? null) : null,
    evidence: arrived ? `heard at ${order.to}; its settings were not read back there yet` : progress(last, order),
  };
}

function progress(last: Sign | undefined, { to }: MoveOrder): string {
  if (last === undefined) return 'sent; the logger has not announced the download yet';
  return last.code === 'RESTARTING' ? `announced ${last.text} and was not heard at ${to} since` : last.text;
}
