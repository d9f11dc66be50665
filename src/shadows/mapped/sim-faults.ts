import { Switches } from '#kit/switches.ts';

/** Misbehaviours of a simulated device: readme.md says what each does. */
export const MAPPED_FAULTS = [
  'bootBack',
  'brick',
  'echo',
  'fail',
  'garbage',
  'ignore',
  'mute',
  'oldReports',
  'partial',
  'slow',
  'wrongModel',
  'wrongSerial',
  'wrongVersion',
] as const;

export type MappedFault = (typeof MAPPED_FAULTS)[number];

export class FaultSwitches extends Switches<MappedFault> {
  constructor() {
    super('a device with a shadow', MAPPED_FAULTS);
  }
}
