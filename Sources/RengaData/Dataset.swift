// Dataset.swift: labelled images in memory, checked once so that nothing behind it has to check again.
// Not here: reading files (IDX, CIFAR), normalisation and augmentation, batches (BatchLoader).
import RengaNetwork

/// Labelled images `[N,H,W,C]` in memory: u8 or f32, NHWC or NCHW, with labels in `0 ..< classes`. Immutable; any thread may read it.
public final class Dataset: @unchecked Sendable {
    /// Extents of the whole set; `n` images.
    public let shape: Shape
    /// The element type of the images.
    public let element: ImageElement
    /// The order of the axes in memory.
    public let layout: ImageLayout
    /// Number of classes; every label is below it.
    public let classes: Int
    /// The classes' names, or empty where none are known.
    public let classNames: [String]
    private let images: UnsafeRawPointer
    private let labelBase: UnsafePointer<Int32>
    /// What keeps the memory alive; nil where the caller does.
    private let owners: (ImageMemory, ImageMemory)?

    /// Copies `images` (`n h w c` elements) and `labels` (`[N]`); both are read during the call only.
    /// Errors: invalidArgument (extents, labels out of range, names), notFinite (f32 images), outOfMemory.
    public convenience init(
        copying images: UnsafeRawPointer, labels: UnsafePointer<Int32>, shape: Shape, element: ImageElement,
        layout: ImageLayout, classes: Int, classNames: [String] = []
    ) throws(RengaError) {
        let shape = try shape.validated("the data set")
        let imageCopy = try ImageMemory(count: shape.count, stride: element.bytes, "the data set's images")
        let labelCopy = try ImageMemory(count: shape.n, stride: 4, "the data set's labels")
        imageCopy.withBytes { $0.copyMemory(from: UnsafeRawBufferPointer(start: images, count: $0.count)) }
        labelCopy.withBytes { $0.copyMemory(from: UnsafeRawBufferPointer(start: labels, count: $0.count)) }
        try self.init(
            shape: shape, element: element, layout: layout, images: imageCopy, labels: labelCopy, classes: classes,
            classNames: classNames)
    }

    /// Copies images that are not dense: `images` is the first element. Errors as for copying; invalidArgument (strides).
    public convenience init(
        copying images: UnsafeRawPointer, strides: ImageStrides, labels: UnsafePointer<Int32>, shape: Shape,
        element: ImageElement, classes: Int
    ) throws(RengaError) {
        let shape = try shape.validated("the data set")
        _ = try strides.span(of: shape, element)
        let imageCopy = try ImageMemory(count: shape.count, stride: element.bytes, "the data set's images")
        let labelCopy = try ImageMemory(count: shape.n, stride: 4, "the data set's labels")
        imageCopy.withBytes { shape.gather(images, element, strides, to: $0.baseAddress) }
        labelCopy.withBytes { $0.copyMemory(from: UnsafeRawBufferPointer(start: labels, count: $0.count)) }
        try self.init(
            shape: shape, element: element, layout: .nhwc, images: imageCopy, labels: labelCopy, classes: classes,
            classNames: [])
    }

    /// Borrows `images` and `labels`: the caller keeps both alive and unchanged as long as the set, its subsets and what
    /// trains on them. Errors as for copying.
    public convenience init(
        borrowing images: UnsafeRawPointer, labels: UnsafePointer<Int32>, shape: Shape, element: ImageElement,
        layout: ImageLayout, classes: Int, classNames: [String] = []
    ) throws(RengaError) {
        try self.init(
            checking: shape, element, layout, images, labels, classes: classes, classNames: classNames, owners: nil)
    }

    /// Takes over filled memory.
    convenience init(
        shape: Shape, element: ImageElement, layout: ImageLayout, images: ImageMemory, labels: ImageMemory,
        classes: Int, classNames: [String]
    ) throws(RengaError) {
        let shape = try shape.validated("the data set")
        // Both blocks live as long as `owners`.
        guard let imageBase = images.withBytes({ $0.baseAddress }), images.byteCount == shape.count * element.bytes,
            let labelBase = labels.withBytes({ $0.baseAddress }), labels.byteCount == shape.n * 4
        else {
            throw RengaError(.internalFault, "the data set's memory does not fit its shape \(shape)")
        }
        try self.init(
            checking: shape, element, layout, imageBase,
            UnsafePointer(labelBase.bindMemory(to: Int32.self, capacity: shape.n)), classes: classes,
            classNames: classNames, owners: (images, labels))
    }

    private init(
        checking shape: Shape, _ element: ImageElement, _ layout: ImageLayout, _ images: UnsafeRawPointer,
        _ labels: UnsafePointer<Int32>, classes: Int, classNames: [String], owners: (ImageMemory, ImageMemory)?
    ) throws(RengaError) {
        self.shape = try shape.validated("the data set")
        self.element = element
        self.layout = layout
        self.classes = classes
        self.classNames = classNames
        self.images = images
        labelBase = labels
        self.owners = owners
        try checkClasses()
        if element == .f32 { try checkFinite() }
    }

    private init(_ whole: Dataset, _ range: Range<Int>) {
        shape = Shape(n: range.count, h: whole.shape.h, w: whole.shape.w, c: whole.shape.c)
        element = whole.element
        layout = whole.layout
        classes = whole.classes
        classNames = whole.classNames
        images = whole.images + range.lowerBound * whole.imageBytes
        labelBase = whole.labelBase + range.lowerBound
        owners = whole.owners
    }

    /// Images `range` as a set of their own; they share memory. Errors: invalidArgument where the range is empty or leaves the set.
    public func subset(_ range: Range<Int>) throws(RengaError) -> Dataset {
        guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= shape.n else {
            throw RengaError(.invalidArgument, "images \(range) are not a part of the set's 0..<\(shape.n)")
        }
        return Dataset(self, range)
    }

    /// Calls `body` with the labels `[N]`; the pointer is valid only inside it.
    public func withLabels<R, E: Error>(_ body: (UnsafeBufferPointer<Int32>) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeBufferPointer(start: labelBase, count: shape.n))
    }

    /// Calls `body` with the elements of all images, in ``layout``; the pointer is valid only inside it.
    public func withImages<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeRawBufferPointer(start: images, count: shape.n * imageBytes))
    }

    /// The name of a class, nil where the set knows none.
    public func className(_ label: Int) -> String? {
        classNames.indices.contains(label) ? classNames[label] : nil
    }

    /// Bytes of one image.
    public var imageBytes: Int { shape.countPerImage * element.bytes }

    private func checkClasses() throws(RengaError) {
        guard (1...Shape.largestExtent).contains(classes) else {
            throw RengaError(.invalidArgument, "a data set has 1...\(Shape.largestExtent) classes, not \(classes)")
        }
        guard classNames.isEmpty || classNames.count == classes else {
            throw RengaError(.invalidArgument, "\(classes) classes have \(classNames.count) names")
        }
        try withLabels { (labels) throws(RengaError) in
            for (index, label) in labels.enumerated() where label < 0 || Int(label) >= classes {
                throw RengaError(.invalidArgument, "label \(label) of image \(index) is not in 0..<\(classes)")
            }
        }
    }

    /// One NaN would end in every weight: better to say where it came from.
    private func checkFinite() throws(RengaError) {
        for index in 0..<shape.count {
            let value = images.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
            guard value.isFinite else {
                throw RengaError(
                    .notFinite, "image \(index / shape.countPerImage) holds \(value) (element \(index) of the set)")
            }
        }
    }
}
