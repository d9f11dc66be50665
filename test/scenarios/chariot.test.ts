import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'chariot',
  scriptsNamed((name) => SCENARIOS_OF.chariot.some((start) => name.startsWith(start))),
);
