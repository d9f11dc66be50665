import { decodeCommand, type Command } from '#adapters/drogue/wire-commands.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';
import { startDaemonFleet, type DaemonFleet, type DaemonFleetOptions } from './daemon-fleet.ts';
import { startMosquitto, type Mosquitto } from './mosquitto.ts';

const BLOCK = 512;

export interface WatchedFleetOptions extends Partial<Omit<DaemonFleetOptions, 'url' | 'imageBytes'>> {
  /** Blocks of 512 bytes in the new image. */
  readonly blocks: number;
  readonly mosquitto?: Mosquitto;
}

/** Nodes on a mosquitto, and somebody who writes down whatever they are told. */
export interface WatchedFleet {
  readonly fleet: DaemonFleet;
  readonly mosquitto: Mosquitto;
  /** Whether every node runs the declared image. */
  updated(): boolean;
  toldTo(node: string): readonly Command[];
  close(): Promise<void>;
}

export async function watchedFleet({ blocks, mosquitto: given, ...options }: WatchedFleetOptions): Promise<WatchedFleet> {
  const mosquitto = given ?? (await startMosquitto());
  const { url } = mosquitto;
  const fleet = await startDaemonFleet({ url, nodes: 2, imageBytes: blocks * BLOCK, options: ', verifies: true', ...options });
  const watcher = await openBus({ url, clientId: 'watcher', clean: true, clock: systemClock });
  const told: { readonly topic: string; readonly command: Command }[] = [];
  watcher.listen(({ topic, payload }) => {
    const command = decodeCommand(payload);
    if (command.ok) told.push({ topic, command: command.value });
  });
  await watcher.subscribe(['command/inbox/+/dfu'], 0);
  return {
    fleet,
    mosquitto,
    updated: () => fleet.nodes.every((node) => node.imageDigest() === fleet.digest),
    toldTo: (node) => told.filter(({ topic }) => topic === `command/inbox/${node}/dfu`).map(({ command }) => command),
    close: async () => {
      await watcher.close();
      await fleet.close();
      await mosquitto.close();
    },
  };
}
