import { Switches } from '#kit/switches.ts';

/** Misbehaviours of a simulated device: readme.md says what each does. */
export const SHADOW_FAULTS = [
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

export type ShadowFault = (typeof SHADOW_FAULTS)[number];

export class FaultSwitches extends Switches<ShadowFault> {
  constructor() {
    super('a device with a shadow', SHADOW_FAULTS);
  }
}
