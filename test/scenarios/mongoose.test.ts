import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'mongoose',
  scriptsNamed((name) => SCENARIOS_OF.mongoose.some((start) => name.startsWith(start))),
);
