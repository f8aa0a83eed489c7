// SafeArithmetic.swift: arithmetic on sizes that a caller chose: it saturates or fails, it never traps.
// Not here: the limits themselves (Shape).

extension Int {
    /// The product, or `Int.max` where that cannot hold it; for factors of at least 0.
    package func saturatingTimes(_ other: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }

    /// The sum, or `Int.max` where that cannot hold it; for terms of at least 0.
    package func saturatingPlus(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension Sequence where Element == Int {
    /// The product of extents of at least 0, or `Int.max`.
    package var saturatingProduct: Int { reduce(1) { $0.saturatingTimes($1) } }
    /// The sum of terms of at least 0, or `Int.max`.
    package var saturatingSum: Int { reduce(0) { $0.saturatingPlus($1) } }
}

extension ParameterSpec {
    /// Number of elements, or `Int.max` where that cannot hold it.
    public var count: Int { dimensions.saturatingProduct }

    /// Returns self if a tensor could hold it; otherwise an error that names it.
    func validated() throws(RengaError) -> ParameterSpec {
        guard count <= Shape.mostElements else {
            throw RengaError(
                .invalidArgument, "parameter '\(name)' \(dimensions) has more than \(Shape.mostElements) elements")
        }
        return self
    }
}
