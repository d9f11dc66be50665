import { SECOND_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { readOptions, type LinkFacts } from './facts.ts';

/** §10: time for the poll, the restart and the next heartbeat. */
const RESTART_SECONDS = 180;

/**
 * docs/protocols/canedge-s3.md §10: ota + heartbeat of the config that the device runs + 180 s, twice for busy devices, in
 * ms; counted while the device is online.
 */
export function deadlineMs(link: LinkFacts, device: DeclaredDevice): number {
  return Math.round((link.ota + link.heartbeat + RESTART_SECONDS) * readOptions(device.options).deadlineFactor) * SECOND_MS;
}
