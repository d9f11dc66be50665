import { digestOf } from '#kit/digest.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { operationId } from '#model/ids.ts';
import type { GroupName, ReleaseId } from '#model/ids.ts';
import type { Operation, OperationDraft } from '#model/operation.ts';
import type { DeviceHistory } from '#model/records.ts';

/** Changes when the members of the identity change, so that ids of two engines are never confused. */
const IDENTITY_VERSION = 1;

export interface OperationContext {
  readonly fleet: string;
  readonly device: DeclaredDevice;
  readonly group: GroupName;
  readonly release: ReleaseId;
  readonly history: DeviceHistory | undefined;
  readonly cause: Operation['cause'];
}

/** Gives a family's draft its identity: DESIGN.md §4, "Operation identity". */
export function identify(draft: OperationDraft, context: OperationContext): Operation {
  const { fleet, device, history } = context;
  const occasion = history?.hardware === device.hardware ? (history.lastClosed[draft.item] ?? 0) : 0;
  const id = digestOf({
    version: IDENTITY_VERSION,
    fleet,
    device: device.id,
    hardware: device.hardware,
    item: draft.item,
    step: draft.step,
    declared: draft.declared,
    expected: draft.expected,
    occasion,
  });
  return {
    ...draft,
    id: operationId(id),
    device: device.id,
    family: device.family,
    connection: device.via.connection,
    hardware: device.hardware,
    group: context.group,
    release: context.release,
    occasion,
    cause: context.cause,
  };
}
