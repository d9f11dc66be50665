import type { FamilyEntry } from '#ports/driver.ts';
import { makeCanedgeDriver } from './driver.ts';
import { canedgeFamily } from './family.ts';

export const canedgeEntry: FamilyEntry = { family: canedgeFamily, makeDriver: makeCanedgeDriver };
