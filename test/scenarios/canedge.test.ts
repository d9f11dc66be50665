import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'canedge',
  scriptsNamed((name) => SCENARIOS_OF.canedge.some((start) => name.startsWith(start))),
);
