import { type ConnectionOptions, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';

/** gRPC's status of a call that was given up. */
const CANCELLED = 1;

type Interceptor = NonNullable<ConnectionOptions['interceptors']>[number];

/**
 * The SDK's own retries, and beneath them what ends a retry that comes due after the connection was closed: its timer would
 * throw where nobody catches ("Channel has been shut down"), and end the process.
 */
export const callInterceptors = (): Interceptor[] => [
  makeGrpcRetryInterceptor(defaultGrpcRetryOptions()),
  endAfterClose,
];

const endAfterClose: Interceptor = (options, nextCall) => {
  try {
    return nextCall(options) as ReturnType<Interceptor>;
  } catch (error) {
    const details = error instanceof Error ? error.message : String(error);
    const nothing = () => undefined;
    const ended: Omit<ReturnType<typeof nextCall>, 'getAuthContext'> = {
      start: (metadata, listener) => listener?.onReceiveStatus?.({ code: CANCELLED, details, metadata }),
      cancelWithStatus: nothing,
      sendMessage: nothing,
      sendMessageWithContext: nothing,
      startRead: nothing,
      halfClose: nothing,
      getPeer: () => '',
    };
    return ended as ReturnType<Interceptor>;
  }
};
