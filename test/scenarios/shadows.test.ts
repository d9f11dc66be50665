import { SCENARIOS_OF, scriptsNamed, tellScenarios } from './tell.ts';

tellScenarios(
  'shadows',
  scriptsNamed((name) => SCENARIOS_OF.shadows.some((start) => name.startsWith(start))),
);
