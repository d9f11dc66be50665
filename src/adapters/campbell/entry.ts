import type { FamilyEntry } from '#ports/driver.ts';
import { makeCampbellDriver } from './driver.ts';
import { campbellFamily } from './family.ts';

export const campbellEntry: FamilyEntry = { family: campbellFamily, makeDriver: makeCampbellDriver };
