import type { FamilyEntry } from '#ports/driver.ts';
import { makeDrogueResponder } from './driver-responder.ts';
import { makeDrogueDriver } from './driver.ts';
import { drogueFamily } from './family.ts';

export const drogueEntry: FamilyEntry = { family: drogueFamily, makeDriver: makeDrogueDriver, makeResponder: makeDrogueResponder };
