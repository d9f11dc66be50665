import { Switches } from '#kit/switches.ts';

/** Misbehaviours of a simulated gateway: readme.md says what each does, and which failure mode of §2.12 stands behind it. */
export const CHARIOT_FAULTS = [
  'boastsCertificate',
  'brick',
  'clamp',
  'echo',
  'garbage',
  'installFails',
  'keepsCertificate',
  'livelock',
  'loseDelta',
  'mute',
  'notifyFails',
  'outkeys',
  'reject',
  'rollBack',
  'slow',
  'unknownService',
  'wedge',
  'wrongSerial',
  'wrongVersion',
] as const;

export type ChariotFault = (typeof CHARIOT_FAULTS)[number];

export class FaultSwitches extends Switches<ChariotFault> {
  constructor() {
    super('a gateway', CHARIOT_FAULTS);
  }

  /** Of a fault that is about one service; about all where it is only switched on. */
  about(name: ChariotFault, key: string): boolean {
    const value = this.value(name);
    return value === true || value === key;
  }
}
