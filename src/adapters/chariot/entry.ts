import type { FamilyEntry } from '#ports/driver.ts';
import { makeChariotDriver } from './driver.ts';
import { chariotFamily } from './family.ts';

export const chariotEntry: FamilyEntry = { family: chariotFamily, makeDriver: makeChariotDriver };
