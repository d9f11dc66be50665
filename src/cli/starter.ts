import { fleetFiles } from './starter-fleet.ts';
import { hostFiles } from './starter-hosts.ts';
import { noteFiles } from './starter-notes.ts';
import type { StarterOptions } from './starter-options.ts';

/** The files of a new fleet repo, by path: valid as they stand, without a warning. The schemas for editors come besides. */
export function starterFiles(options: StarterOptions): Readonly<Record<string, string>> {
  return { ...fleetFiles(options), ...noteFiles(options), ...hostFiles(options) };
}
