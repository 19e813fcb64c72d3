import { AipClientError } from './errors.js';

/** A schedule of this name exists. Nothing was changed. */
export class AutomationScheduleExistsError extends AipClientError {
  override readonly name = 'AutomationScheduleExistsError';
  constructor(readonly schedule: string) {
    super(
      `Cannot create schedule ${schedule}: one of this name exists; give it the plan (\`aip-temporal automation schedule update ${schedule} FILE\`), delete it (\`… schedule delete ${schedule}\`) to change its times, or give another name`,
    );
  }
}

/** No schedule of that name starts plans in this namespace. */
export class AutomationScheduleNotFoundError extends AipClientError {
  override readonly name = 'AutomationScheduleNotFoundError';
  constructor(
    readonly schedule: string,
    readonly namespace: string,
  ) {
    super(
      `Cannot find schedule ${schedule} in namespace ${namespace}: it was never created, or is deleted; \`aip-temporal automation schedule list\` shows those that are there`,
    );
  }
}
