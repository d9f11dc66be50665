import type { FamilyEntry } from '#ports/driver.ts';
import { makeMongooseDriver } from './driver.ts';
import { mongooseFamily } from './family.ts';

export const mongooseEntry: FamilyEntry = { family: mongooseFamily, makeDriver: makeMongooseDriver };
