import { unlessAborted } from '#kit/aborted.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Driver, DriverOutcome, DriverPorts, PerformContext, Precheck } from '#ports/driver.ts';
import { makeAct, refused, type Act } from './driver-act.ts';
import { findFolders, folderKnown, journeyFor, observeDevices } from './driver-observe.ts';
import { performOffer, prepareOffer } from './driver-offer.ts';
import { performRemoval, prepareRemoval } from './driver-withdraw.ts';
import { textAt } from './json.ts';
import { DEVICE_ID, folderName } from './wire.ts';

/** CANedge over an S3 bucket: every effect is one object written or deleted (docs/protocols/canedge-s3.md §5, §6). */
export function makeCanedgeDriver(ports: DriverPorts): Driver {
  return {
    observe: (request) => observeDevices(ports, request),
    async precheck(operation, open, context): Promise<Precheck> {
      const act = await actFor(ports, { operation, open, context });
      if ('kind' in act) return act;
      const prepared = isOffer(operation) ? await prepareOffer(act) : await prepareRemoval(act);
      if (prepared.kind === 'ready') return { kind: 'clear' };
      // Perform meets the same trouble and says so: a precheck only refuses.
      return prepared.kind === 'trouble' ? { kind: 'clear' } : prepared;
    },
    async perform(operation, open, context): Promise<DriverOutcome> {
      const act = await actFor(ports, { operation, open, context });
      if ('kind' in act) return act;
      return isOffer(operation) ? performOffer(act) : performRemoval(act);
    },
    close: () => Promise.resolve(),
  };
}

const OFFER_STEPS: ReadonlySet<string> = new Set([
  'config',
  'config-next',
  'firmware',
  'trust',
  'trust-there',
  'trust-remove',
  'config-there',
]);

function isOffer(operation: Operation): boolean {
  return OFFER_STEPS.has(operation.step);
}

interface Target {
  readonly operation: Operation;
  readonly open: OpenOperation | null;
  readonly context: PerformContext;
}

/** The bucket and folder of an operation, or why it must not be carried out. */
async function actFor(ports: DriverPorts, target: Target): Promise<Act | Extract<DriverOutcome, { kind: 'refused' }>> {
  const { operation, context } = target;
  const { device } = context;
  if (operation.hardware !== device.hardware) return refused('IDENTITY_MISMATCH', 'the operation was planned for other hardware');
  const name = folderName(device);
  if (!DEVICE_ID.test(name)) return refused('IDENTITY_MISMATCH', `${JSON.stringify(name)} is no id of a CANedge`);
  const journey = journeyFor(ports, device, context.reported);
  const connection = textAt(operation.facts, 'at') ?? operation.connection;
  // A withdrawal leads to where the offer lies, wherever the device is to be by now.
  if (operation.kind === 'change' && connection !== journey.from && connection !== journey.to)
    return refused('PRECONDITION_MOVED', `the device is no longer at ${connection}, nor to move there`);
  if (ports.connection(connection) === undefined) return refused('PRECONDITION_MOVED', `connection ${connection} is no longer declared`);
  const store = await unlessAborted(ports.objects(connection), context.signal);
  const found =
    folderKnown(device, context.reported) ??
    (await findFolders(store, new Set([name.toUpperCase()]), context.signal)).get(name.toUpperCase());
  if (found === undefined) return refused('PRECONDITION_MOVED', `the bucket has no folder ${name}`);
  const folder = typeof found === 'string' ? found : found.length === 1 ? (found[0] ?? name) : null;
  if (folder === null) return refused('IDENTITY_MISMATCH', `the bucket has several folders ${name}`);
  return (
    makeAct(ports, store, { ...target, folder, journey }) ??
    refused('UNSUPPORTED', 'the operation was recorded by another version and cannot be read')
  );
}
