import { Switches } from '#kit/switches.ts';

/** Misbehaviours of a simulated node: readme.md says what each does, and which section of the protocol page stands behind it. */
export const DROGUE_FAULTS = [
  'bootBack',
  'brick',
  'corruptFlash',
  'cutEachBlock',
  'delayDown',
  'documented',
  'duplicateDown',
  'duplicateUp',
  'failSwap',
  'garbage',
  'ignorePoll',
  'loseDown',
  'loseUp',
  'mtu',
  'oldGeneration',
  'replay',
  'silentAfterSwap',
  'slowLink',
  'unhealthy',
  'wrongCorrelation',
  'wrongVersion',
] as const;

export type DrogueFault = (typeof DROGUE_FAULTS)[number];

/** Of a probability that is only switched on. */
const USUAL_CHANCE = 0.01;

export class FaultSwitches extends Switches<DrogueFault> {
  constructor() {
    super('a node', DROGUE_FAULTS);
  }

  /** Of a fault that happens now and then: its value, 1 % when it is only switched on, 0 when it is off. */
  chance(name: DrogueFault): number {
    return this.on(name) ? this.number(name, USUAL_CHANCE) : 0;
  }
}
