// Handles.swift: what a host's handle points to, and how a wrong one is told from a right one before anything is touched.
// Not here: the objects behind the handles (one file a noun).
import Glibc
import RengaNetwork

/// An object behind a handle. `kind` is written into the handle and checked at every call.
protocol HandleObject: AnyObject {
    /// What the header calls it: "renga_network".
    static var handleName: StaticString { get }
    /// Unique among the kinds.
    static var kind: UInt64 { get }
}

/// The block that a handle points to, allocated by malloc: a foreign pointer is refused by its first word without waking Swift's runtime,
/// and a freed block no longer carries it (as long as malloc has not given it away again: no promise).
private struct HandleBlock {
    static let liveMark: UInt64 = 0x5245_4E47_4148_4E44  // "RENGAHND"
    var mark: UInt64
    var kind: UInt64
    var object: Unmanaged<AnyObject>
}

/// Makes a handle that owns one reference to the object.
func makeHandle<Object: HandleObject>(_ object: Object) throws(RengaError) -> OpaquePointer {
    guard let raw = malloc(MemoryLayout<HandleBlock>.size) else {
        throw RengaError(.outOfMemory, "no memory for a \(Object.handleName) handle")
    }
    raw.initializeMemory(
        as: HandleBlock.self,
        to: HandleBlock(mark: HandleBlock.liveMark, kind: Object.kind, object: .passRetained(object)))
    return OpaquePointer(raw)
}

/// The object behind a handle, held for the caller; NULL, foreign pointers and other kinds are refused.
func object<Object: HandleObject>(
    _ handle: OpaquePointer?, _ argument: StaticString, as type: Object.Type = Object.self
) throws(RengaError) -> Object {
    guard let handle else { throw RengaError(.nullPointer, "\(argument) is NULL") }
    guard let block = liveBlock(handle) else {
        throw RengaError(
            .invalidArgument, "\(argument) is not a handle of Renga, or was freed; expected a \(Object.handleName)")
    }
    guard block.pointee.kind == Object.kind, let object = block.pointee.object.takeUnretainedValue() as? Object else {
        throw RengaError(.invalidArgument, "\(argument) is a handle of another kind; expected a \(Object.handleName)")
    }
    return object
}

/// Gives the handle's reference back. NULL and handles of another kind are left alone.
func freeHandle<Object: HandleObject>(_ handle: OpaquePointer?, as type: Object.Type) {
    guard let handle, let block = liveBlock(handle), block.pointee.kind == Object.kind else { return }
    let object = block.pointee.object
    block.pointee.mark = 0
    free(block)
    object.release()
}

/// The block, if the pointer is aligned as one and carries the mark.
private func liveBlock(_ handle: OpaquePointer) -> UnsafeMutablePointer<HandleBlock>? {
    guard UInt(bitPattern: handle) % UInt(MemoryLayout<HandleBlock>.alignment) == 0 else { return nil }
    let block = UnsafeMutablePointer<HandleBlock>(handle)
    return block.pointee.mark == HandleBlock.liveMark ? block : nil
}
