import { Switches } from '#kit/switches.ts';

/** Misbehaviours of a simulated board and switches for what nobody knows (shadow-devices.md §11): readme.md says what each does. */
export const MONGOOSE_FAULTS = [
  'autocommit',
  'bootsBack',
  'brick',
  'crash',
  'downloadFails',
  'duplicateDelivery',
  'echo',
  'forbids',
  'garbage',
  'hang',
  'mute',
  'neverCommits',
  'obeysGet',
  'powerloss',
  'pretends',
  'refusesWhileUncommitted',
  'replyLost',
  'resultsTrue',
  'rpcOnly',
  'silentToRpc',
  'slow',
  'stalls',
  'urlAfterSuccess',
  'wantsAuth',
  'wrongIdentity',
  'wrongPlatform',
  'wrongVersion',
] as const;

export type MongooseFault = (typeof MONGOOSE_FAULTS)[number];

export class FaultSwitches extends Switches<MongooseFault> {
  constructor() {
    super('a board', MONGOOSE_FAULTS);
  }

  /** Of a fault that strikes a number of times, or always where it is only switched on. */
  strikes(name: MongooseFault): boolean {
    const value = this.value(name);
    if (typeof value === 'number') this.set(name, value > 1 ? value - 1 : false);
    return value !== undefined;
  }
}
