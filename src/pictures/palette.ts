/**
 * Vega's name for the scale of amounts: dark blue to yellow, its lightness rising evenly, and nearly the same to readers with
 * and without red-green blindness. Source: Nuñez, Anderton & Renslow 2018, "Optimizing colormaps with consideration for color
 * vision deficiency" (cividis).
 */
export const AMOUNT_SCHEME = 'cividis';

/**
 * Colours of kinds of things, told apart by readers with any colour vision, on white and on black.
 * Source: Okabe & Ito 2002, "Color Universal Design", without black and yellow.
 */
export const KIND_COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'] as const;

/** Half-way between the page's light and dark backgrounds: cells that hold nothing, lines that only guide the eye. */
export const FAINT = '#8888';
