import { crc32Hex } from '#kit/digest.ts';
import type { DevicePlan } from '#model/plan.ts';
import type { Command } from './script.ts';
import { ScriptError } from './script.ts';
import type { Stage } from './stage.ts';

type Expectation = (stage: Stage, words: readonly string[]) => string | null | Promise<string | null>;

/** What can be expected; each answers null when it holds, else what was found. */
const EXPECTATIONS: Readonly<Record<string, Expectation>> = {
  /** `expect exit 0` */
  exit: (stage, [code]) => same(String(stage.last?.exit), code),
  /** `expect performed 3`: side effects in the last pass. */
  performed: (stage, [count]) =>
    same(String(stage.last?.result?.executed.filter((one) => one.result.kind === 'performed').length ?? 0), count),
  /** `expect total 7`: side effects in all passes. */
  total: (stage, [count]) => same(String(stage.performed), count),
  /** `expect converged all`, `expect converged 5` */
  converged: (stage, [count]) => expectConverged(stage, count ?? 'all'),
  /** `expect hold DEVICE REASON`, `expect hold DEVICE none` */
  hold: (stage, [device, reason]) =>
    same(stage.last?.result?.decision.held.find((hold) => hold.device === device)?.reason ?? 'none', reason),
  /** `expect rollout GROUP rolling|halted|watched|none` */
  rollout: (stage, [group, phase]) => same(groupOf(stage, group)?.rollout?.phase ?? 'none', phase),
  /** `expect wave GROUP WAVE "a b c"` */
  wave: (stage, [group, wave, members]) => {
    const found = groupOf(stage, group)?.rollout?.waves.find((one) => one.name === wave);
    return same(found?.members?.join(' ') ?? 'closed', members);
  },
  /** `expect truth DEVICE ITEM VALUE`: what is really on the device. */
  truth: (stage, [device = '', item = '', value]) => same(stage.sim?.devices.get(device)?.truth()[item] ?? 'nothing', value),
  /** `expect reach DEVICE yes`: whether it finds, and trusts, the server that it is told to use. Else the answer is why not. */
  reach: (stage, [device = '', wanted]) => same(stage.sim?.devices.get(device)?.outOfReach?.() ?? 'yes', wanted),
  /** `expect effects DEVICE KIND COUNT` */
  effects: (stage, [device = '', kind, count]) =>
    same(String(stage.sim?.devices.get(device)?.effects.filter((effect) => effect.kind === kind).length ?? 0), count),
  /** `expect no-false-converged`: nothing that is counted as converged carries anything else in truth. */
  'no-false-converged': (stage) => falseConverged(stage),
  /** `expect refusal CODE` */
  refusal: (stage, [code]) => same(stage.last?.refusal?.code ?? 'none', code),
  /** `expect object CONNECTION KEY CRC`: CRC-32 of what a bucket holds, `none` for nothing, `some` for anything. */
  object: (stage, [connection = '', key = '', crc]) => expectObject(stage, { connection, key, crc }),
  /** `expect blocked GROUP COUNT` */
  blocked: (stage, [group, count]) => same(String(groupOf(stage, group)?.blocked.length ?? 0), count),
};

/** Null when the line holds, else what was found instead. */
export async function expectLine(stage: Stage, command: Command): Promise<string | null> {
  const [, what = '', ...words] = command.words;
  const check = EXPECTATIONS[what];
  if (check === undefined) throw new ScriptError(command.line, `nothing called ${what} can be expected`);
  return await check(stage, words);
}

function same(found: string, wanted: string | undefined): string | null {
  return found === wanted ? null : `found ${found}`;
}

function groupOf(stage: Stage, name: string | undefined) {
  return [...(stage.last?.result?.view.groups ?? [])].find(([group]) => group === name)?.[1];
}

function expectConverged(stage: Stage, count: string): string | null {
  const groups = stage.last?.result?.plan.groups ?? [];
  const converged = groups.reduce((sum, group) => sum + group.converged, 0);
  const wanted = count === 'all' ? groups.reduce((sum, group) => sum + group.devices, 0) : Number(count);
  return same(String(converged), String(wanted));
}

async function expectObject(
  stage: Stage,
  wanted: { readonly connection: string; readonly key: string; readonly crc: string | undefined },
): Promise<string | null> {
  const found = await stage.sim?.bucket(wanted.connection).get(wanted.key);
  const crc = typeof found === 'object' ? crc32Hex(found.bytes) : 'none';
  return wanted.crc === 'some' && crc !== 'none' ? null : same(crc, wanted.crc);
}

/**
 * Devices that the last plan counts as converged while the simulated hardware carries something else. `truth` is in the
 * spelling of reports, so it is compared through the values that were last reported.
 */
function falseConverged(stage: Stage): string | null {
  const result = stage.last?.result;
  if (result === null || result === undefined) return 'no pass yet';
  const counted = ({ converged, open }: DevicePlan): boolean =>
    converged && open.every(({ confirmation }) => confirmation.kind === 'confirmed');
  const listed = new Set(result.plan.devices.filter((device) => !counted(device)).map((device) => device.device));
  for (let row = 0; row < result.declared.size; row += 1) {
    const device = result.declared.deviceAt(row);
    if (device.group === null || listed.has(device.id)) continue;
    const hardware = stage.sim?.devices.get(device.id);
    if (hardware === undefined) continue;
    for (const item of device.items) {
      const really = hardware.truthOf?.(item.item, item.facts) ?? hardware.truth()[item.item];
      if (really !== item.value) return `${device.id} counts as converged, but its ${item.item} is ${really}`;
    }
  }
  return null;
}
