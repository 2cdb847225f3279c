export { cutModel, refuseUncuttable } from './cut/cut-model.js';
export { type BlockWidths, isUniform, type ModelWidths, widthsWithout } from './cut/widths.js';
