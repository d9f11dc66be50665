import { SECOND_MS } from '#kit/duration.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceMethods, MethodCall, MethodReply } from '#ports/device-methods.ts';
import { WireError } from '#ports/wire-error.ts';
import type { AzureIotConnection } from '#ports/wires.ts';
import { azureRefusal } from './azure-errors.ts';
import { jsonIn, openAzureHub, type AzureHub, type AzureHubOptions } from './azure-hub.ts';

/** What a hub takes as `responseTimeoutInSeconds`. */
const [FEWEST_SECONDS, MOST_SECONDS] = [5, 300];

/** Direct methods of an Azure IoT hub over HTTP (docs/protocols/shadow-devices.md §8.8). Nothing is sent yet. */
export function openAzureMethods(connection: AzureIotConnection, options: AzureHubOptions): DeviceMethods {
  const hub = openAzureHub(connection, options);
  return { invoke: (call) => invoke(hub, call), close: () => hub.close() };
}

async function invoke(hub: AzureHub, { device, method, payload, timeoutMs, signal }: MethodCall): Promise<MethodReply> {
  const doing = `call ${method} of ${device}`;
  const seconds = Math.min(MOST_SECONDS, Math.max(FEWEST_SECONDS, Math.ceil(timeoutMs / SECOND_MS)));
  const answer = await hub.call(
    {
      operation: 'invoke',
      doing,
      method: 'POST',
      path: `/twins/${encodeURIComponent(device)}/methods`,
      // Who is away is asked again later: nothing waits for its connection.
      body: { methodName: method, responseTimeoutInSeconds: seconds, connectTimeoutInSeconds: 0, payload },
      waitMs: seconds * SECOND_MS,
    },
    signal,
  );
  if (answer.status === 404) throw new WireError('DEVICE_OFFLINE', 'later', `${doing}: the hub has no such device connected`);
  if (answer.status === 504) throw new WireError('DEVICE_SILENT', 'later', `${doing}: it did not answer within ${seconds} s`);
  if (answer.status !== 200) throw azureRefusal(answer.status, doing);
  const reply = replyIn(jsonIn(answer));
  if (reply === null) throw new WireError('METHOD_UNREADABLE', 'later', `${doing}: the answer is none of a method`);
  return reply;
}

/** `{"status":0,"payload":…}`; without a payload where the device answered with nothing. */
function replyIn(value: unknown): MethodReply | null {
  if (!isJsonObject(value)) return null;
  const { status, payload = null } = value;
  return typeof status === 'number' && Number.isInteger(status) ? { status, payload } : null;
}
