import type { FaultSwitches } from './sim-faults.ts';
import { encodeOldStatus, encodeStatus, type Status } from './wire.ts';

/** How a node writes its statuses; `json`: a text that holds an object, as Drogue Cloud makes it of JSON (§1.5). */
export type NodeEncoding = 'named' | 'packed' | 'json';

/** A status as this node writes it, with its misbehaviours. */
export function spokenStatus(status: Status, encoding: NodeEncoding, faults: FaultSwitches): Uint8Array {
  const other = faults.on('wrongCorrelation') ? { correlationId: faults.number('wrongCorrelation', 4_000_000) } : {};
  const said = { ...status, ...other };
  if (faults.on('oldGeneration') || faults.text('documented', '') === 'text') return encodeOldStatus(said);
  if (faults.on('documented')) return documented(said);
  return encoding === 'json' ? doubleJson(said) : encodeStatus(said, encoding);
}

/** `update` under the name that the published documents give it: both have six letters. */
function documented(status: Status): Uint8Array {
  const written = Buffer.from(encodeStatus(status, 'named'));
  written.write('status', written.indexOf('update'), 'utf8');
  return Uint8Array.from(written);
}

function doubleJson({ version, mtu, correlationId, update }: Status): Uint8Array {
  return Uint8Array.from(Buffer.from(JSON.stringify(JSON.stringify({ version, mtu, correlation_id: correlationId, update }))));
}
