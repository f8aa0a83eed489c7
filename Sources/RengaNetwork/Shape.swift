// Shape.swift: the shape of a value for one batch, and size arithmetic that cannot trap.
// Not here: memory layout beyond "N slowest, C fastest".

/// The shape of an activation: `[N,H,W,C]`. A flat feature vector is `[N,1,1,C]`.
public struct Shape: Hashable, Sendable, CustomStringConvertible {
    /// Images in the batch.
    public var n: Int
    /// Rows of the map.
    public var h: Int
    /// Columns of the map.
    public var w: Int
    /// Channels.
    public var c: Int

    /// Largest extent of any one dimension: products of two extents never overflow.
    public static let largestExtent = 1 << 30
    /// Most elements that one tensor may hold (2^40: far beyond any memory, far below overflow).
    public static let mostElements = 1 << 40

    /// Makes a shape; see ``validated(_:)`` for the check.
    public init(n: Int, h: Int, w: Int, c: Int) {
        self.n = n
        self.h = h
        self.w = w
        self.c = c
    }

    /// `N H W C`; exact for every validated shape.
    public var count: Int { n &* h &* w &* c }
    /// Elements of one image.
    public var countPerImage: Int { h &* w &* c }
    /// Pixels of the batch: `N H W`.
    public var rows: Int { n &* h &* w }

    /// "[N,H,W,C]" in numbers.
    public var description: String { "[\(n),\(h),\(w),\(c)]" }

    /// Returns self if every extent is at least 1 and the product representable; otherwise an error that names `what`.
    public func validated(_ what: @autoclosure () -> String) throws(RengaError) -> Shape {
        var product = 1
        for extent in [n, h, w, c] {
            guard extent >= 1, extent <= Shape.largestExtent else {
                throw RengaError(
                    .invalidArgument, "\(what()): every extent of \(self) must be in 1...\(Shape.largestExtent)")
            }
            let (next, overflow) = product.multipliedReportingOverflow(by: extent)
            guard !overflow, next <= Shape.mostElements else {
                throw RengaError(.invalidArgument, "\(what()): \(self) has more than \(Shape.mostElements) elements")
            }
            product = next
        }
        return self
    }
}
