// OlderSystems.swift: keeps librenga.so loadable where the C library is older than the one it is built with: glibc 2.34 (RHEL 9 and its kin).
// Not here: the check that nothing newer is asked for (.ci/check-library).

/// What the linker gives Swift's own `hypot` in this library instead of glibc's, whose present version is of 2.35 (--wrap in Package.swift).
/// Squares of floats neither overflow nor vanish in double.
@c(__wrap_hypotf)
public func hypotenuse(_ x: Float, _ y: Float) -> Float {
    if x.isInfinite || y.isInfinite { return .infinity }
    return Float((Double(x) * Double(x) + Double(y) * Double(y)).squareRoot())
}
