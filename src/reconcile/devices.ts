import type { Declared, DeclaredDevice } from '#model/declared.ts';
import type { Operation } from '#model/operation.ts';
import type { LedgerView } from '#model/records.ts';
import type { Admitted } from '#model/rollout.ts';
import type { KnownDevice } from '#execute/execute.ts';
import type { PlanInput } from '#plan/plan.ts';
import type { World } from '#ports/world.ts';
import { declaredAt } from './revision.ts';
import type { DeclareState } from './revision.ts';

/**
 * Finds the device that an operation is meant for. A withdrawal may be for a row that disappeared or for hardware that was
 * replaced: then an older revision says where its offer lies.
 */
export async function knownDevices(
  world: World,
  state: DeclareState,
  request: { readonly plan: PlanInput; readonly admitted: readonly Admitted[] },
): Promise<(operation: Operation) => KnownDevice | undefined> {
  const { declared, reported, view } = request.plan;
  const gone = new Map<string, DeclaredDevice>();
  for (const { operation } of request.admitted) {
    if (inRevision(declared, operation) !== undefined) continue;
    const device = await formerDevice(world, state, { operation, view });
    if (device !== undefined) gone.set(operation.id, device);
  }
  return (operation) => {
    const device = inRevision(declared, operation);
    if (device !== undefined) return { device, reported: reported.deviceAt(device.row) };
    const former = gone.get(operation.id);
    return former === undefined ? undefined : { device: former, reported: undefined };
  };
}

function inRevision(declared: Declared, operation: Operation): DeclaredDevice | undefined {
  const row = declared.rowOf(operation.device);
  const device = row === undefined ? undefined : declared.deviceAt(row);
  return device?.hardware === operation.hardware ? device : undefined;
}

/** Looks in the revision last applied, then in those that brought the releases of the group, newest first. */
async function formerDevice(
  world: World,
  state: DeclareState,
  request: { readonly operation: Operation; readonly view: LedgerView },
): Promise<DeclaredDevice | undefined> {
  const { operation, view } = request;
  const history = view.groups.get(operation.group);
  const commits = [
    view.commit,
    history?.rollout?.commit ?? null,
    ...[...(history?.past ?? []), ...(history?.lineage ?? [])].map(({ commit }) => commit).toReversed(),
  ];
  for (const commit of new Set(commits)) {
    const declared = commit === null ? null : await declaredAt(world, state, { commit, at: world.clock.now() });
    const device = declared === null ? undefined : inRevision(declared, operation);
    if (device !== undefined) return device;
  }
  return undefined;
}
