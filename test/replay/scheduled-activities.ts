/** Runs in the workflow sandbox: tells the test which activities a replay schedules, and with what. */
import { proxySinks, type Sinks, type WorkflowInterceptors } from '@temporalio/workflow';

export interface ActivitySinks extends Sinks {
  activities: { scheduled(type: string, input: unknown): void };
}

const { activities } = proxySinks<ActivitySinks>();

export const interceptors = (): WorkflowInterceptors => ({
  outbound: [
    {
      scheduleActivity(input, next) {
        activities.scheduled(input.activityType, input.args[0]);
        return next(input);
      },
    },
  ],
});
