import type { PassReport } from '#reconcile/report.ts';

/** `from` must stand in the file; all of it is replaced. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** One commit of a story, and how far the fleet must have come before the next one is merged. */
export interface Chapter {
  readonly message: string;
  /** `revert` undoes the commit before. */
  readonly change: readonly Edit[] | 'revert';
  done(report: PassReport): boolean;
}

export interface Story {
  readonly name: string;
  /** Devices without power from before the first pass until the story has ended. */
  readonly parked: readonly string[];
  readonly chapters: readonly Chapter[];
  /** How often each device is flashed, given a program, given a config, when nobody is killed. */
  readonly done: Readonly<Record<string, string>>;
}

const beginning: Chapter = { message: 'The fleet as it stands', change: [], done: hasArrived };

/**
 * Canary, then the rest, to the end: an OS and a program on each logger, a firmware of the next config series on the vans, a
 * config and a firmware of the same series on the boats.
 */
export const upgrade: Story = {
  name: 'upgrade',
  parked: [],
  chapters: [
    beginning,
    {
      message: 'Everything newer',
      change: [
        { file: 'groups/met.yaml', from: 'cr1000x-os@8.1.0', to: 'cr1000x-os@8.2.1' },
        { file: 'groups/met.yaml', from: 'MET_v1', to: 'MET_v2' },
        { file: 'groups/vans.yaml', from: 'canedge2@01.08.04', to: 'canedge2@01.09.01' },
        { file: 'groups/boats.yaml', from: 'canedge2@01.08.04', to: 'canedge2@01.08.05' },
        { file: 'files/can/boats.json', from: 'Boats', to: 'Boats at sea' },
      ],
      done: hasArrived,
    },
  ],
  done: {
    alder: '1 flash, 1 program',
    birch: '1 flash, 1 program',
    'boat-1': '1 flash, 1 config',
    'boat-2': '1 flash, 1 config',
    cedar: '1 flash, 1 program',
    // The config of the next series lies ready and comes with the firmware.
    'van-1': '1 flash',
    'van-2': '1 flash',
  },
};

/**
 * Reverted in the middle: the canaries have the new release and go back, what was offered to two parked devices is
 * withdrawn before they wake.
 */
export const homeward: Story = {
  name: 'homeward',
  parked: ['boat-2', 'van-2'],
  chapters: [
    beginning,
    {
      message: 'Newer, with a long look at the canary of the loggers',
      change: [
        { file: 'groups/met.yaml', from: 'cr1000x-os@8.1.0', to: 'cr1000x-os@8.2.1' },
        { file: 'groups/met.yaml', from: 'rollout: brisk', to: 'rollout: patient' },
        { file: 'groups/vans.yaml', from: 'canedge2@01.08.04', to: 'canedge2@01.08.05' },
        { file: 'files/can/boats.json', from: 'Boats', to: 'Boats at sea' },
      ],
      done: isInTheMiddle,
    },
    { message: 'Back again', change: 'revert', done: hasArrived },
  ],
  done: { alder: '2 flash', birch: '', 'boat-1': '2 config', 'boat-2': '', cedar: '', 'van-1': '2 flash', 'van-2': '' },
};

export const STORIES: readonly Story[] = [upgrade, homeward];

/** Everything is where it was declared to be, and nothing is under way. */
function hasArrived({ exit, result }: PassReport): boolean {
  return exit === 0 && result !== null && result.decision.held.length === 0 && result.view.open.size === 0;
}

/** The canaries of all groups have it; the offers to the parked devices lie in the bucket, and nothing else is open. */
function isInTheMiddle({ result }: PassReport): boolean {
  if (result === null) return false;
  const { decision, view } = result;
  const canaryMet = ['boats', 'met', 'vans'].every(
    (name) => [...view.groups].find(([group]) => group === name)?.[1].rollout?.waves[0]?.metAt != null,
  );
  const offered = homeward.parked.every((device) => decision.held.some((hold) => hold.device === device && hold.reason === 'OFFERED'));
  return canaryMet && offered && [...view.open.keys()].toSorted().join(' ') === homeward.parked.join(' ');
}
