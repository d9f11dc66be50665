import type { CliContext } from '#cli/context.ts';
import { CliTrouble } from '#cli/fleet.ts';
import { brokerOf, named, simulate, timingsOf, type LoginFlags, type SimFlags } from './sim-device.ts';

export interface SimDrogueFlags extends SimFlags, LoginFlags {
  readonly nodes?: number;
  readonly gateway?: string;
  readonly firmware: string;
  readonly profile: 'reference' | 'strict';
  readonly driver?: 'simulator' | 'embassy' | 'strict';
  readonly progress?: 'none' | 'ram' | 'persisted';
  readonly encoding: 'named' | 'packed' | 'json';
  readonly mtu: number;
  readonly up: string;
  readonly down: string;
  readonly telemetry?: string;
  readonly timing?: readonly string[];
}

/** Above that one process is short of descriptors. */
const MOST_NODES = 5000;

/** Simulated nodes that fetch firmware by Drogue DFU, on any MQTT broker, until Ctrl-C. */
export function simDrogue(context: CliContext, flags: SimDrogueFlags, ...given: readonly string[]): Promise<void> {
  return simulate(context, flags, async (shared) => {
    const ids = [...given, ...numbered(flags.nodes ?? 0)];
    if (ids.length === 0)
      throw new CliTrouble('BAD_DEVICE', 'no node is named: write its name in the topics, node-01 for example, or --nodes 10');
    const { drogueAlone } = await import('#sim/alone.ts');
    const broker = await brokerOf(context, flags);
    const alike = alikeOf(flags);
    const nodes = ids.map((id) => ({ ...alike, id }));
    return named(() => drogueAlone(nodes, flags.gateway ?? null, { ...shared, broker }));
  });
}

function numbered(count: number): readonly string[] {
  if (count > MOST_NODES) throw new CliTrouble('BAD_DEVICE', `one process holds ${MOST_NODES} nodes, not ${count}`);
  return Array.from({ length: count }, (_, index) => `node-${String(index + 1).padStart(4, '0')}`);
}

/** What the nodes of one command have in common. */
function alikeOf(flags: SimDrogueFlags) {
  const { firmware, profile, driver, progress, encoding, mtu, up, down, telemetry } = flags;
  return {
    firmware,
    profile,
    encoding,
    mtu,
    up,
    down,
    timings: timingsOf(flags.timing, TIMINGS),
    ...(driver === undefined ? {} : { driver }),
    ...(progress === undefined ? {} : { progress }),
    ...(telemetry === undefined ? {} : { telemetry }),
  };
}

const TIMINGS = { who: 'a node', names: ['backoffMs', 'bootBackMs', 'powerCutMs', 'rebootMs', 'telemetryMs', 'timeoutMs'] };
