import type { FamilyEntry } from '#ports/driver.ts';
import { makeShadowDriver } from './driver.ts';
import { shadowFamily } from './family.ts';

export const shadowEntry: FamilyEntry = { family: shadowFamily, makeDriver: makeShadowDriver };
