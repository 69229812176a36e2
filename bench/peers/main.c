/*
 * A file system in memory on libfuse's low-level interface: what the drives are measured against.
 *
 *   peer-libfuse [-o OPTION,...] DIRECTORY
 *
 * It is to be as good as libfuse lets it be: many threads, the kernel's caches without a limit in time, write-back. It runs in the
 * background, in a session of its own; umount(8) ends it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "peer.h"

static void init(void *data, struct fuse_conn_info *connection)
{
	(void)data;
	connection->want |=
		connection->capable & (FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS);
	connection->want &= ~(unsigned int)FUSE_CAP_AUTO_INVAL_DATA;
	/* Set-id bits: the kernel clears them. */
	connection->want &= ~(unsigned int)FUSE_CAP_HANDLE_KILLPRIV;
	connection->max_write = 1 << 20;
	connection->max_readahead = 1 << 20;
	connection->time_gran = 1;
}

static const struct fuse_lowlevel_ops operations = {
	.init = init,
	.lookup = peer_lookup,
	.forget = peer_forget,
	.forget_multi = peer_forget_multi,
	.getattr = peer_getattr,
	.setattr = peer_setattr,
	.readlink = peer_readlink,
	.mknod = peer_mknod,
	.mkdir = peer_mkdir,
	.unlink = peer_unlink,
	.rmdir = peer_rmdir,
	.symlink = peer_symlink,
	.rename = peer_rename,
	.link = peer_link,
	.open = peer_open,
	.read = peer_read,
	.write = peer_write,
	.fsync = peer_fsync,
	.opendir = peer_opendir,
	.readdir = peer_readdir,
	.readdirplus = peer_readdirplus,
	.releasedir = peer_releasedir,
	.statfs = peer_statfs,
	.create = peer_create,
};

/* From the mount to the end. */
static int serve(struct fuse_session *session, const char *directory)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int error = 1;

	if (!config)
		return 1;
	if (fuse_session_mount(session, directory) == 0) {
		/* The parent ends here: the mount is there. */
		error = fuse_daemonize(0);
		if (!error)
			error = fuse_session_loop_mt(session, config);
		fuse_session_unmount(session);
	}
	fuse_loop_cfg_destroy(config);
	return error != 0;
}

int main(int argc, char **argv)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts options;
	struct fuse_session *session;
	struct tree tree;
	int error = 1;

	if (fuse_parse_cmdline(&arguments, &options) != 0 || !options.mountpoint) {
		fprintf(stderr, "usage: peer-libfuse [-o OPTION,...] DIRECTORY\n");
		return 1;
	}
	if (tree_init(&tree)) {
		fprintf(stderr, "peer-libfuse: no memory\n");
		return 1;
	}
	if (fuse_opt_add_arg(&arguments, "-odefault_permissions,allow_other,fsname=peer-libfuse,subtype=peer") == 0) {
		session = fuse_session_new(&arguments, &operations, sizeof operations, &tree);
		if (session) {
			if (fuse_set_signal_handlers(session) == 0)
				error = serve(session, options.mountpoint);
			fuse_remove_signal_handlers(session);
			fuse_session_destroy(session);
		}
	}
	tree_done(&tree);
	free(options.mountpoint);
	fuse_opt_free_args(&arguments);
	return error;
}
