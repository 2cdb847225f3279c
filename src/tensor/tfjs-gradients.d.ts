/** The bundle that scripts/bundle-gradients.mjs writes: importing it registers tfjs's gradient functions. */
export {};
