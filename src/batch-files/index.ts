export { type BatchInputOptions, openBatchInput, type OpenedBatchInput } from './batch-input.js';
export { BatchOutput, type BatchOutputOptions } from './batch-output.js';
export { OutputFileError } from './output-file.js';
export { outputRow } from './output-row.js';
export { type BatchFileFormat, readBatchRows, type ReadBatchOptions } from './read-batch-rows.js';
export { spoolToFile } from './spool.js';
