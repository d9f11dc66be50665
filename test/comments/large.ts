import type { Diagnostic } from '#kit/diagnostics.ts';
import type { Declared, DeclaredDevice } from '#model/declared.ts';
import { deviceId, groupName } from '#model/ids.ts';
import type { DeviceId } from '#model/ids.ts';
import type { DevicePlan } from '#model/plan.ts';
import { REASONS } from '#model/reasons.ts';
import type { Reason } from '#model/reasons.ts';
import type { Hold } from '#model/rollout.ts';
import { reportedFor } from '#observe/reported.ts';
import { makePlan } from '#plan/plan.ts';
import { decide } from '#rollout/decide.ts';
import { syntheticDeclared, syntheticFamily, syntheticReports, syntheticView } from '#test/support/synthetic.ts';
import type { FleetView } from '#view/pass.ts';

const NOW = 1_790_000_200_000;
const DEVICES = 10_000;

const made = new Map<number, FleetView>();

/** A plan of 10,000 devices in so many groups, all of which change: the engine's own plan and decision. */
export function largeView(groups = 10): FleetView {
  const known = made.get(groups);
  if (known !== undefined) return known;
  const declared = syntheticDeclared({ devices: DEVICES, groups, version: '2.0.0' });
  const view = syntheticView(declared, syntheticDeclared({ devices: groups, groups, version: '1.0.0' }));
  const reported = reportedFor(declared, syntheticReports(declared, { share: 1, version: '1.0.0' }));
  const families = new Map([['synthetic', syntheticFamily]]);
  const plan = makePlan({ declared, reported, view, families, older: new Map() });
  const decision = decide({ plan, declared, reported, view, families, now: NOW, nextPassMs: null, genesis: false });
  const answer = { declared, plan, decision, before: view, view, reported };
  made.set(groups, answer);
  return answer;
}

const NASTY = [
  '@everyone | `code` ``more`` <script>alert(1)</script> <!-- headgate:comment path=. --> ',
  '</details></table> [a link](javascript:alert(1)) ![x](https://evil.example.org/x.png) ',
  'https://evil.example.org www.evil.example.org #1 GH-1 $a$ **bold** _em_ ~~no~~ \u202Efdp.exe\r\n\n# head\n- list \u0000\uD800',
].join('');
const WIDE = '𒀀🛰️'.repeat(120);

const REASON_NAMES = Object.keys(REASONS) as Reason[];

/**
 * The same, told by people who mean harm, or who write in letters of four bytes: 500 groups, each device with a name and an
 * evidence of its own, every reason there is.
 */
export function hostileView(letters: 'hostile' | 'wide'): FleetView {
  const text = letters === 'hostile' ? NASTY : WIDE;
  const view = largeView(500);
  const nameOf = (name: string): string => `${name} ${text}`;
  const ids = new Map<DeviceId, DeviceId>(view.plan.devices.map(({ device }) => [device, deviceId(nameOf(device))]));
  const idOf = (id: DeviceId): DeviceId => ids.get(id) ?? id;
  const groupOf = (name: string) => groupName(nameOf(name));
  const declared = hostileDeclared(view.declared, { idOf, groupOf, text });
  const devices = view.plan.devices.map((device, row): DevicePlan => ({
    ...device,
    device: idOf(device.device),
    group: device.group === null ? null : groupOf(device.group),
    model: nameOf(`model ${row % 97}`),
    drifts: device.drifts.map((drift) => ({ ...drift, from: nameOf(`from ${row}`), to: nameOf(`to ${row % 1000}`) })),
    operations: device.operations.map((operation) => ({
      ...operation,
      effects: [nameOf(`effect${row}`), `cannot ${nameOf(String(row))}`],
    })),
    impossible: [{ item: 'firmware', reason: reasonAt(row + 7), evidence: nameOf(`word${wordOf(row)}`) }],
  }));
  const held = view.plan.devices.map(({ device, group }, row): Hold => {
    const evidence = `${nameOf(`word${wordOf(row)}`)} ${text}`;
    return {
      device: idOf(device),
      group: group === null ? null : groupOf(group),
      item: null,
      reason: reasonAt(row),
      evidence,
      until: NOW + row,
      person: nameOf('ask'),
      wave: row % 3 === 0 ? 'canary' : 'rest',
    };
  });
  const groups = new Map(
    [...view.decision.groups].map(([name, history]) => {
      const group = groupOf(name);
      return [
        group,
        {
          ...history,
          rollout:
            history.rollout === null
              ? null
              : {
                  ...history.rollout,
                  group,
                  phase: 'halted' as const,
                  halt: { reason: 'GATE_FAILED' as const, wave: nameOf('wave'), evidence: nameOf('evidence'), at: NOW },
                },
        },
      ];
    }),
  );
  return {
    ...view,
    declared,
    plan: { ...view.plan, devices, leavers: [...ids.values()], joiners: [...ids.values()], unmanaged: [...ids.values()] },
    decision: { ...view.decision, held, groups, events: [], mergeHeld: { evidence: text, person: text } },
  };
}

function reasonAt(row: number): Reason {
  return REASON_NAMES[row % REASON_NAMES.length] ?? 'HALTED';
}

/** Letters, so that no two rows say the same apart from numbers. */
function wordOf(row: number): string {
  return Array.from(String(row), (digit) => 'abcdefghij'[Number(digit)] ?? '').join('');
}

interface Renaming {
  readonly idOf: (id: DeviceId) => DeviceId;
  readonly groupOf: (name: string) => ReturnType<typeof groupName>;
  readonly text: string;
}

function hostileDeclared(declared: Declared, { idOf, groupOf, text }: Renaming): Declared {
  const rows = new Map<DeviceId, number>();
  const devices = Array.from({ length: declared.size }, (_, row): DeclaredDevice => {
    const device = declared.deviceAt(row);
    const id = idOf(device.id);
    rows.set(id, row);
    return {
      ...device,
      id,
      group: device.group === null ? null : groupOf(device.group),
      place: { ...device.place, file: `devices/${text}.yaml` },
      freeze: { override: text, reason: text, until: null },
    };
  });
  return {
    ...declared,
    fleet: { ...declared.fleet, name: text },
    deviceAt: (row) => devices[row] ?? declared.deviceAt(row),
    rowOf: (id) => rows.get(id),
    groups: new Map([...declared.groups.values()].map((group) => [groupOf(group.name), { ...group, name: groupOf(group.name) }])),
    overrides: Array.from({ length: 1_000 }, (_, index) => ({
      name: `${index} ${text}`,
      place: { file: text, line: 1, column: 1 },
      reason: text,
      starts: null,
      reviewBy: NOW,
      until: null,
      devices: [],
    })),
  };
}

/** As many mistakes as there are devices, each of its own. */
export function hostileMistakes(letters: 'hostile' | 'wide'): readonly Diagnostic[] {
  const text = letters === 'hostile' ? NASTY : WIDE;
  return Array.from({ length: DEVICES }, (_, line) => {
    const place = { file: `groups/${text}.yaml`, line, column: 1 };
    return {
      severity: line % 2 === 0 ? 'error' : 'warning',
      code: 'UNKNOWN_KEY',
      summary: `${line} ${text}`,
      detail: text,
      fix: text,
      place,
      also: [place, place],
    };
  });
}
