import { VECTORS_START } from '#test/support/shadow-vectors.ts';
import { sdkClients } from '#test/support/shadow-wires.ts';
import type { LiveBus } from '#ports/clients.ts';
import { VirtualClock } from '#sim/clock.ts';
import { startAwsIot, type AwsServer } from '#sim/aws/server.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';

/** A policy that allows everything, as accounts of beginners have it. */
export const OPEN_POLICY = JSON.stringify({ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } });

/** AWS IoT on TLS with the clients of the SDK; the time of shadows stands still until told to move. */
export interface AwsStage {
  readonly clock: VirtualClock;
  readonly server: AwsServer;
  readonly sdk: ReturnType<typeof sdkClients>;
  /** Connects with that certificate, or a new one of a thing of that name. */
  device(clientId: string, own?: { readonly certificate: string; readonly key: string }): Promise<LiveBus>;
  close(): Promise<void>;
}

export async function openAwsStage(): Promise<AwsStage> {
  const clock = new VirtualClock(VECTORS_START);
  const server = await startAwsIot({ clock });
  server.registry.createPolicy('open', OPEN_POLICY);
  const sdk = sdkClients(server);
  const buses: LiveBus[] = [];
  return {
    clock,
    server,
    sdk,
    device: async (clientId, own) => {
      const { certificate, key } = own ?? (await server.enrol(clientId, ['open']));
      const bus = await openBus({
        url: server.mqttUrl,
        clientId,
        clean: true,
        clock: systemClock,
        protocol: 4,
        ca: server.caCertificate,
        cert: certificate,
        key,
        username: '?SDK=Python&Version=1.5.2',
        reconnect: false,
      });
      buses.push(bus);
      return bus;
    },
    close: async () => {
      for (const bus of buses) await bus.close();
      sdk.destroy();
      await server.close();
    },
  };
}
