// Dataset.swift: labelled images across the border, and the check of a caller's images that sessions and trainers share.
// Not here: file formats and their names (RengaData).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaNetwork

/// What a renga_dataset points to; immutable.
final class DatasetObject: HandleObject, @unchecked Sendable {
    static let handleName: StaticString = "renga_dataset"
    static let kind: UInt64 = 4

    let value: Dataset
    /// The names of the classes as C text; empty where none are known.
    let classNames: CTexts

    init(_ value: Dataset) throws(RengaError) {
        self.value = value
        classNames = try CTexts(value.classNames)
    }
}

/// A caller's images after the check of everything but what the call expects of their shape.
struct Source {
    /// With strides, the first element.
    let data: UnsafeRawPointer
    let shape: Shape
    let element: ImageElement
    let layout: ImageLayout
    let strides: ImageStrides?

    init(_ pointer: UnsafePointer<renga_source>?, _ argument: StaticString) throws(RengaError) {
        self = try Source(try required(pointer, argument).pointee, "\(argument)")
    }

    init(_ source: renga_source, _ argument: String) throws(RengaError) {
        guard let data = source.data else { throw RengaError(.nullPointer, "\(argument)->data is NULL") }
        let extents = [source.shape.n, source.shape.h, source.shape.w, source.shape.c].map { Int(exactly: $0) ?? -1 }
        shape = try Shape(n: extents[0], h: extents[1], w: extents[2], c: extents[3]).validated("\(argument)->shape")
        guard let element = ImageElement(rawValue: source.element) else {
            throw RengaError(
                .invalidArgument, "\(argument)->element is \(source.element); expected RENGA_F32 (0) or RENGA_U8 (1)")
        }
        self.element = element
        guard source.layout == Int32(bitPattern: RENGA_STRIDED.rawValue) else {
            (self.data, strides) = (data, nil)
            layout = try Source.layout(source.layout, "\(argument)->layout")
            return
        }
        let view = try read(
            data.assumingMemoryBound(to: renga_strided.self), "src->data", defaults: renga_strided())
        guard let first = view.data else { throw RengaError(.nullPointer, "\(argument)->data->data is NULL") }
        let strides = ImageStrides(n: Int(view.n), h: Int(view.h), w: Int(view.w), c: Int(view.c))
        try Source.check(try strides.span(of: shape, element), from: first, view, argument)
        (self.data, self.strides, layout) = (first, strides, .nhwc)
    }

    /// What the images touch: addresses that there are, and that lie in the caller's block where he names one.
    private static func check(
        _ span: Range<Int>, from first: UnsafeRawPointer, _ view: renga_strided, _ argument: String
    ) throws(RengaError) {
        // A process has the lower half of all addresses: they are positive, and a span is far smaller than the half.
        let base = Int(bitPattern: first)
        let (least, under) = base.addingReportingOverflow(span.lowerBound)
        let (end, over) = base.addingReportingOverflow(span.upperBound)
        guard !under, !over, base > 0, least > 0 else {
            throw RengaError(.invalidArgument, "the strides of \(argument) leave any memory")
        }
        guard let begin = view.begin.map({ Int(bitPattern: $0) }) else { return }
        // What exceeds Int.max arrives negative: that is room enough.
        guard begin > 0, least >= begin, view.bytes < 0 || end - begin <= view.bytes else {
            throw RengaError(
                .invalidArgument,
                "the images of \(argument) touch the bytes \(least &- begin)..<\(end &- begin) of a block of "
                    + "\(UInt(bitPattern: view.bytes))")
        }
    }

    static func layout(_ code: Int32, _ argument: String) throws(RengaError) -> ImageLayout {
        guard let layout = ImageLayout(rawValue: code) else {
            throw RengaError(.invalidArgument, "\(argument) is \(code); expected RENGA_NHWC (0) or RENGA_NCHW (1)")
        }
        return layout
    }
}

@c @implementation
public func renga_strided_init(_ strided: UnsafeMutablePointer<renga_strided>?, _ size: Int) {
    prepare(strided, size: size, defaults: renga_strided())
}

@c @implementation
public func renga_dataset_create(
    _ images: UnsafePointer<renga_source>?, _ labels: UnsafePointer<Int32>?, _ classes: Int32,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    datasetOut(out) { () throws(RengaError) in
        let source = try Source(images, "images")
        let labels = try required(labels, "labels")
        if let strides = source.strides {
            return try Dataset(
                copying: source.data, strides: strides, labels: labels, shape: source.shape, element: source.element,
                classes: Int(classes))
        }
        return try Dataset(
            copying: source.data, labels: labels, shape: source.shape, element: source.element, layout: source.layout,
            classes: Int(classes))
    }
}

@c @implementation
public func renga_dataset_open(
    _ path: UnsafePointer<CChar>?, _ part: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    datasetOut(out) { () throws(RengaError) in
        let path = try text(path, "path")
        let part = try text(part, "part")
        guard let known = DatasetPart(rawValue: part) else {
            throw RengaError(.notFound, "part is '\(part.prefix(80))'; known: train, test")
        }
        return try DatasetFolder(path).open(known)
    }
}

@c @implementation
public func renga_dataset_open_idx(
    _ images_path: UnsafePointer<CChar>?, _ labels_path: UnsafePointer<CChar>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    datasetOut(out) { () throws(RengaError) in
        try IDX.dataset(images: try text(images_path, "images_path"), labels: try text(labels_path, "labels_path"))
    }
}

@c @implementation
public func renga_dataset_free(_ dataset: OpaquePointer?) {
    freeHandle(dataset, as: DatasetObject.self)
}

@c @implementation
public func renga_dataset_take(
    _ dataset: OpaquePointer?, _ begin: Int64, _ count: Int64, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    datasetOut(out) { () throws(RengaError) in
        let dataset = try object(dataset, "dataset", as: DatasetObject.self).value
        return try dataset.subset(try range(begin, count, of: dataset))
    }
}

@c @implementation
public func renga_dataset_info(
    _ dataset: OpaquePointer?, _ out_shape: UnsafeMutablePointer<renga_shape>?,
    _ out_classes: UnsafeMutablePointer<Int32>?
) -> renga_status {
    guarded { () throws(RengaError) in
        out_shape?.pointee = renga_shape()
        out_classes?.pointee = 0
        let dataset = try object(dataset, "dataset", as: DatasetObject.self).value
        out_shape?.pointee = renga_shape(dataset.shape)
        // At most Shape.largestExtent, which fits.
        out_classes?.pointee = Int32(dataset.classes)
    }
}

@c @implementation
public func renga_dataset_get(
    _ dataset: OpaquePointer?, _ begin: Int64, _ count: Int64, _ images: UnsafeMutablePointer<Float>?,
    _ images_count: Int, _ labels: UnsafeMutablePointer<Int32>?, _ labels_count: Int
) -> renga_status {
    guarded { () throws(RengaError) in
        let dataset = try object(dataset, "dataset", as: DatasetObject.self).value
        let part = try dataset.subset(try range(begin, count, of: dataset))
        if images != nil { try checkRoom(images_count, "images_count", needed: part.shape.count) }
        if labels != nil { try checkRoom(labels_count, "labels_count", needed: part.shape.n) }
        if let images { part.copyImages(to: images) }
        if let labels {
            part.withLabels { values in for (index, label) in values.enumerated() { labels[index] = label } }
        }
    }
}

@c @implementation
public func renga_dataset_class_name(
    _ dataset: OpaquePointer?, _ label: Int32, _ out_name: UnsafeMutablePointer<UnsafePointer<CChar>?>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out_name, "out_name")
        let dataset = try object(dataset, "dataset", as: DatasetObject.self)
        let label = try number(label, "label", in: 0...dataset.value.classes - 1)
        out.pointee = label < dataset.classNames.count ? dataset.classNames[label] : staticText("")
    }
}

/// `[begin, begin + count)` as a range within the set.
private func range(_ begin: Int64, _ count: Int64, of dataset: Dataset) throws(RengaError) -> Range<Int> {
    let begin = try number(begin, "begin", in: 0...dataset.shape.n - 1)
    let count = try number(count, "count", in: 1...dataset.shape.n - begin)
    return begin..<begin + count
}

/// Room of the caller for `needed` elements.
func checkRoom(_ room: Int, _ argument: String, needed: Int) throws(RengaError) {
    // What exceeds Int.max arrives negative: that is room enough.
    guard room < 0 || room >= needed else {
        throw RengaError(.shapeMismatch, "\(argument) is \(room); \(needed) are needed")
    }
}

private func datasetOut(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(RengaError) -> Dataset
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        out.pointee = try makeHandle(try DatasetObject(try body()))
    }
}
