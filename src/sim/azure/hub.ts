import type { Clock } from '#ports/clock.ts';
import { memoryBroker, type Broker } from '#sim/broker.ts';
import { HubAccess, type HubPolicy } from './access.ts';
import { DeviceWire } from './device-wire.ts';
import { makeHubEndpoint, type HubEndpoint } from './endpoint.ts';
import { HubFaults } from './faults.ts';
import { AZURE_SWITCHES, type AzureSwitches } from './switches.ts';
import { TwinStore } from './twin-store.ts';

export interface AzureHubOptions {
  readonly clock: Clock;
  readonly switches?: Partial<AzureSwitches>;
  /** What user names and tokens must name; `hub.sim` when left out. */
  readonly host?: string;
  /** Shared access policies by name; with none everybody is let in, by any name and without a token. */
  readonly policies?: ReadonlyMap<string, HubPolicy>;
  /** Calls per second by name of the operation (`getTwin`); nothing is limited when left out. */
  readonly quotas?: Readonly<Record<string, number>>;
}

/** An Azure IoT hub in this process, without a port: see startAzureHub for one with ports. */
export interface AzureHub {
  readonly broker: Broker;
  readonly twins: TwinStore;
  readonly endpoint: HubEndpoint;
  readonly faults: HubFaults;
  /** May be turned while the hub runs. */
  readonly switches: { -readonly [Name in keyof AzureSwitches]: AzureSwitches[Name] };
  close(): Promise<void>;
}

/** Twins and direct methods over one broker and one HTTP endpoint (docs/protocols/shadow-devices.md §8). */
export function makeAzureHub(options: AzureHubOptions): AzureHub {
  const { clock, host = 'hub.sim', policies = new Map<string, HubPolicy>(), quotas = {} } = options;
  const switches = { ...AZURE_SWITCHES, ...options.switches };
  const faults = new HubFaults();
  const twins = new TwinStore({
    clock,
    switches,
    connected: (id) => broker.subscriptionsOf(id) !== undefined,
    disconnect: (id) => void broker.dropClient(id),
  });
  const access = new HubAccess({ host: host.toLowerCase(), policies, twins, now: () => clock.now() });
  const wire = new DeviceWire({ twins, access, clock, faults, switches, broker: () => broker });
  const broker: Broker = memoryBroker({ clock, rules: wire.rules() });
  const endpoint = makeHubEndpoint({ twins, access, wire, faults, switches, clock, quotas: new Map(Object.entries(quotas)) });
  return {
    broker,
    twins,
    endpoint,
    faults,
    switches,
    close: async () => {
      wire.close();
      await broker.close();
    },
  };
}
