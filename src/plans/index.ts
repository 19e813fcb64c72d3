export { planJsonSchema } from './authored-plan.js';
export { durationMs } from '../protocol/duration.js';
export {
  faultText,
  PlanError,
  type PlanFault,
  type PlanPlace,
  PlanInputError,
  type PlanInputFault,
  type PlanWarning,
} from './plan-faults.js';
export { checkInputs, parseInputAssignments } from './plan-inputs.js';
export { readPlan, type ReadPlan, type ReadPlanOptions } from './read-plan.js';
export {
  isWholeExpression,
  type TemplatePart,
  templateParts,
  type TemplateProblem,
} from '../protocol/template-parts.js';
