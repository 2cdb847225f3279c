export { columnWeights, type Imatrix, type ImatrixEntry } from './imatrix.js';
export { readImatrix } from './read.js';
export { writeImatrix } from './write.js';
