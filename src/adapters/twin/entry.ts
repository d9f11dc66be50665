import type { FamilyEntry } from '#ports/driver.ts';
import { makeTwinDriver } from './driver.ts';
import { twinFamily } from './family.ts';

export const twinEntry: FamilyEntry = { family: twinFamily, makeDriver: makeTwinDriver };
