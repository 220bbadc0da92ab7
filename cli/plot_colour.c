/* Colours of a density: from the paper's white through green and blue, in steps that look alike. Lightness falls linearly in the Oklab
 * space (B. Ottosson, "A perceptual color space for image processing", 2020), whose matrices these are. */
#include <math.h>

#include "plot.h"

/* Linear light to sRGB (IEC 61966-2-1). */
static double gamma_of(double linear) {
  const double x = fmin(fmax(linear, 0), 1);
  return x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
}

void plot_colour(double share, double rgb[3]) {
  static const double to_rgb[3][3] = {{4.0767416621, -3.3077115913, 0.2309699292},
                                      {-1.2684380046, 2.6097574011, -0.3413193965},
                                      {-0.0041960863, -0.7034186147, 1.7076147010}};
  const double degree = 0.017453292519943295;
  const double lightness = 1 - 0.74 * share, hue = (125 + 155 * share) * degree;
  const double chroma = 0.098 * (1 - exp(-12 * share)); /* within what sRGB has at every such lightness and hue: nothing is clipped */
  const double a = chroma * cos(hue), b = chroma * sin(hue);
  const double l = lightness + 0.3963377774 * a + 0.2158037573 * b, m = lightness - 0.1055613458 * a - 0.0638541728 * b,
               s = lightness - 0.0894841775 * a - 1.2914855480 * b;
  for (int i = 0; i < 3; i++) rgb[i] = gamma_of(to_rgb[i][0] * l * l * l + to_rgb[i][1] * m * m * m + to_rgb[i][2] * s * s * s);
}
