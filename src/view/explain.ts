import type { Json } from '#kit/canonical.ts';
import { placeText } from '#kit/diagnostics.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { shortDigest } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { Drift } from '#model/plan.ts';
import type { Hold } from '#model/rollout.ts';
import { operationText } from './events.ts';
import { changeText } from './field-changes.ts';
import { reasonText, untilText } from './holds.ts';
import type { FleetView } from './pass.ts';
import { driftJson, holdJson, operationJson } from './plan-json.ts';
import { alignRows, padEnd, plain } from './table.ts';
import type { Paint } from './table.ts';
import { ago, dayTimeZone, isoInstant } from './time.ts';
import { counted } from './words.ts';

/** Why this device is where it is: the one reason first, then what is declared and reported, then what is under way. */
export function explainText(view: FleetView, device: DeclaredDevice, paint: Paint = plain): string {
  const { zone } = view.declared.fleet;
  const hold = view.decision.held.find((one) => one.device === device.id);
  const facts = [
    ['group', device.group ?? 'none: unmanaged'],
    ['model', `${device.model}${device.serial === null ? '' : `, serial ${device.serial}`}`],
    ['declared', placeText(device.place)],
    ['heard', heardText(view, device)],
    ...measureRows(view, device),
  ];
  return [
    `${paint('strong', device.id)}  ${verdict(device, hold, paint)}`,
    ...(hold === undefined ? [] : reasonLines(hold, zone)),
    '',
    ...alignRows(facts).map((line) => `  ${line}`),
    '',
    ...alignRows([['item', 'declared', 'reported', 'age', 'from'], ...device.items.map((item) => itemRow(view, device, item))]).map(
      (line) => `  ${line}`,
    ),
    ...fieldLines(view, device),
    ...openLines(view, device, zone),
  ].join('\n');
}

function verdict(device: DeclaredDevice, hold: Hold | undefined, paint: Paint): string {
  if (hold !== undefined) return paint('warn', hold.reason);
  if (device.freeze !== null) return paint('warn', `FROZEN by ${device.freeze.override}: ${device.freeze.reason}`);
  return device.group === null ? paint('quiet', 'UNMANAGED') : paint('good', 'converged');
}

function reasonLines(hold: Hold, zone: string): readonly string[] {
  const rows = [
    ['why', reasonText(hold)],
    ['evidence', hold.evidence],
    ['until', untilText(hold, zone)],
    ...(hold.item === null ? [] : [['item', hold.item]]),
    ...(hold.wave === null ? [] : [['wave', hold.wave]]),
  ];
  return rows.map(([name = '', text = '']) => `  ${padEnd(name, 10)}${text}`);
}

function heardText(view: FleetView, device: DeclaredDevice): string {
  const reported = view.reported.deviceAt(device.row);
  if (reported === undefined || reported.heardAt === null) return 'never with a known age';
  const online = reported.online === null ? '' : reported.online ? ', connected' : ', not connected';
  return `${ago(reported.heardAt, view.decision.at)}${online}`;
}

function measureRows(view: FleetView, device: DeclaredDevice): readonly (readonly string[])[] {
  const measures = view.reported.deviceAt(device.row)?.measures ?? {};
  return Object.keys(measures)
    .toSorted()
    .map((name) => [name, measures[name]?.value ?? '']);
}

function itemRow(view: FleetView, device: DeclaredDevice, item: DeclaredItem): readonly string[] {
  const value = view.reported.valueAt(device.row, item.item);
  const place = `${item.place.file}:${item.place.line}`;
  if (value === undefined) return [item.item, item.version, 'never reported', '', place];
  if (value.kind === 'unknown') return [item.item, item.version, `${value.why}: ${value.detail}`, '', place];
  const age = value.madeNotBefore === null ? 'unknown age' : ago(value.madeNotBefore, view.decision.at);
  return [item.item, item.version, value.value === item.value ? 'as declared' : value.value, age, place];
}

/** What the declared items change inside of what it has, field by field. */
function fieldLines(view: FleetView, device: DeclaredDevice): readonly string[] {
  const drifts = driftsOf(view, device).filter(({ fields }) => fields !== undefined && fields.length > 0);
  return drifts.flatMap(({ item, fields = [] }) => [
    '',
    `  ${item} changes in ${counted(fields.length, 'field')}:`,
    ...alignRows(fields.map((field) => [field.path, changeText(field)])).map((line) => `    ${line}`),
  ]);
}

function driftsOf(view: FleetView, device: DeclaredDevice): readonly Drift[] {
  return view.plan.devices.find((one) => one.device === device.id)?.drifts ?? [];
}

function openLines(view: FleetView, device: DeclaredDevice, zone: string): readonly string[] {
  const open = view.view.open.get(device.id) ?? [];
  return open.length === 0 ? [] : ['', ...open.map((one) => `  under way: ${openText(one, zone)}`)];
}

function openText(open: OpenOperation, zone: string): string {
  const since = `attempt ${open.attempt}, since ${dayTimeZone(open.intendedAt, zone)}`;
  const taken = open.takenAt === null ? 'no sign that it was taken' : `taken ${dayTimeZone(open.takenAt, zone)}`;
  const trouble = open.lastTrouble === null ? '' : `, last trouble ${open.lastTrouble}`;
  return `${operationText(open.operation)} (${since}, ${taken}${trouble}) ${shortDigest(open.operation.id)}`;
}

export function explainJson(view: FleetView, device: DeclaredDevice): Json {
  const reported = view.reported.deviceAt(device.row);
  const hold = view.decision.held.find((one) => one.device === device.id);
  return {
    device: device.id,
    group: device.group,
    model: device.model,
    serial: device.serial,
    place: { ...device.place },
    hold: hold === undefined ? null : holdJson(hold),
    frozen: device.freeze === null ? null : { ...device.freeze, until: isoInstant(device.freeze.until) },
    heardAt: isoInstant(reported?.heardAt ?? null),
    online: reported?.online ?? null,
    items: device.items.map((item) => {
      const value = view.reported.valueAt(device.row, item.item);
      return {
        item: item.item,
        declared: item.value,
        version: item.version,
        reported: value?.kind === 'value' ? value.value : null,
        unknown: value?.kind === 'unknown' ? value.why : null,
        madeNotBefore: isoInstant(value?.kind === 'value' ? value.madeNotBefore : null),
      };
    }),
    drifts: driftsOf(view, device).map(driftJson),
    measures: Object.fromEntries(Object.entries(reported?.measures ?? {}).map(([name, { value }]) => [name, value])),
    open: (view.view.open.get(device.id) ?? []).map((open) => ({
      operation: operationJson(open.operation),
      attempt: open.attempt,
      intendedAt: isoInstant(open.intendedAt),
      takenAt: isoInstant(open.takenAt),
    })),
  };
}
